package testcluster

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	metricsServerPort    = 4443
	metricsServerTimeout = time.Minute
)

// metricsServerManifest registers a metrics-server that listens at %[1]s, port %[2]d, with its
// usual rights. The Service leads to a name, because endpoints may not have loopback addresses.
const metricsServerManifest = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: metrics-server, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:metrics-server"}
rules:
- {apiGroups: [""], resources: [nodes/metrics], verbs: [get]}
- {apiGroups: [""], resources: [pods, nodes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:metrics-server"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:metrics-server"}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "metrics-server:system:auth-delegator"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: metrics-server-auth-reader, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {type: ExternalName, externalName: %[1]s}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: metrics-server, namespace: kube-system, port: %[2]d}
`

// StartMetricsServer runs Kubernetes' metrics-server (bin/metrics-server), which `kubectl top`
// asks, until the test ends. It asks the nodes every ten seconds. A cluster may have only one at a
// time.
func (c *Cluster) StartMetricsServer(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	address := fmt.Sprintf("127.%d.%s", 1+os.Getpid()%19, randomHost())
	manifest := filepath.Join(dir, "metrics-server.yaml")
	if err := os.WriteFile(manifest, fmt.Appendf(nil, metricsServerManifest, address, metricsServerPort), 0o600); err != nil {
		t.Fatalf("testcluster: %v", err)
	}
	c.Kubectl(t, "apply", "-f", manifest)
	t.Cleanup(func() { c.Kubectl(t, "delete", "--ignore-not-found", "-f", manifest) })
	kubeconfig := c.accountKubeconfig(t, dir, "kube-system", "metrics-server")
	said := startBeside(t, "metrics-server", exec.Command(filepath.Join(Root(), "bin", "metrics-server"),
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--bind-address="+address, fmt.Sprintf("--secure-port=%d", metricsServerPort), "--cert-dir="+filepath.Join(dir, "certs"),
		"--kubelet-certificate-authority="+filepath.Join(c.dir, "pki", "ca.crt"),
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-use-node-status-port", "--metric-resolution=10s", "--kubelet-request-timeout=5s"))
	c.awaitAPIService(t, "v1beta1.metrics.k8s.io", said)
}

// accountKubeconfig writes a kubeconfig with a token of a service account.
func (c *Cluster) accountKubeconfig(t testing.TB, dir, namespace, account string) string {
	t.Helper()
	token := strings.TrimSpace(c.Kubectl(t, "create", "token", account, "-n", namespace))
	config := clientcmdapi.NewConfig()
	config.Clusters["it"] = &clientcmdapi.Cluster{Server: c.config.Host, CertificateAuthority: filepath.Join(c.dir, "pki", "ca.crt")}
	config.AuthInfos["it"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["it"] = &clientcmdapi.Context{Cluster: "it", AuthInfo: "it"}
	config.CurrentContext = "it"
	path := filepath.Join(dir, account+".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatalf("testcluster: %v", err)
	}
	return path
}

// awaitAPIService waits until the API server reaches the server of the API service.
func (c *Cluster) awaitAPIService(t testing.TB, name string, said *tail) {
	t.Helper()
	const available = `jsonpath={.status.conditions[?(@.type=="Available")].status}`
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(metricsServerTimeout); c.Kubectl(t, "get", "apiservice", name, "-o", available) != "True"; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("testcluster: metrics-server was not available within %v:\n%s\n%s", metricsServerTimeout,
				c.Kubectl(t, "get", "apiservice", name, "-o", "jsonpath={.status}"), bytes.TrimSpace([]byte(said.String())))
		}
	}
}

// randomHost is the second half of a loopback address.
func randomHost() string {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return fmt.Sprintf("%d.%d", b[0], 1+b[1]%250)
}
