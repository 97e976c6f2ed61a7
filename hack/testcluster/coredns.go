package testcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const coreDNSTimeout = time.Minute

// coreDNSManifest gives CoreDNS its usual rights.
const coreDNSManifest = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects: [{kind: ServiceAccount, name: %[1]s, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
- {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
`

// coreDNSCorefile is for an address, a port, a kubeconfig and lines of a hosts file.
const coreDNSCorefile = `
cluster.local:%[2]d {
	bind %[1]s
	errors
	kubernetes cluster.local {
		kubeconfig %[3]s
		pods insecure
		ttl 1
	}
}
test:%[2]d {
	bind %[1]s
	errors
	hosts {
%[4]s
		ttl 30
	}
}
.:%[2]d {
	bind %[1]s
	errors
	template ANY ANY {
		rcode NXDOMAIN
	}
}
`

// StartCoreDNS runs CoreDNS (bin/coredns), the name server of most clusters, at a loopback address
// of its own until the test ends. It knows the cluster's Services below cluster.local, and lines of
// a hosts file with names below test. There are no other names. Port 0 means any; only root may
// have port 53, which resolv.conf means.
func (c *Cluster) StartCoreDNS(t testing.TB, port uint16, hosts ...string) netip.AddrPort {
	t.Helper()
	address := netip.MustParseAddr(fmt.Sprintf("127.%d.%s", 1+os.Getpid()%19, randomHost()))
	if port == 0 {
		port = freePort(t, address)
	}
	at := netip.AddrPortFrom(address, port)
	c.StartCoreDNSAt(t, at, hosts...)
	return at
}

// StartCoreDNSAt is StartCoreDNS with an address that the machine has.
func (c *Cluster) StartCoreDNSAt(t testing.TB, at netip.AddrPort, hosts ...string) {
	t.Helper()
	dir, account := t.TempDir(), "coredns-"+strings.ReplaceAll(randomHost(), ".", "-")
	manifest := filepath.Join(dir, "coredns.yaml")
	if err := os.WriteFile(manifest, fmt.Appendf(nil, coreDNSManifest, account), 0o600); err != nil {
		t.Fatalf("testcluster: %v", err)
	}
	c.Kubectl(t, "apply", "-f", manifest)
	t.Cleanup(func() {
		c.Kubectl(t, "delete", "--ignore-not-found", "clusterrolebinding", account)
		c.Kubectl(t, "delete", "--ignore-not-found", "-n", "kube-system", "serviceaccount", account)
	})
	corefile := filepath.Join(dir, "Corefile")
	text := fmt.Sprintf(coreDNSCorefile, at.Addr(), at.Port(), c.accountKubeconfig(t, dir, "kube-system", account), strings.Join(hosts, "\n"))
	if err := os.WriteFile(corefile, []byte(text), 0o600); err != nil {
		t.Fatalf("testcluster: %v", err)
	}
	said := startBeside(t, "coredns", exec.Command(filepath.Join(Root(), "bin", "coredns"), "-conf", corefile))
	awaitName(t, at, "kubernetes.default.svc.cluster.local", said)
}

// AwaitName waits until a name server knows a name, such as that of a Service that was just made.
func AwaitName(t testing.TB, at netip.AddrPort, name string) {
	t.Helper()
	awaitName(t, at, name, nil)
}

func awaitName(t testing.TB, at netip.AddrPort, name string, said *tail) {
	t.Helper()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, at.String())
	}}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(coreDNSTimeout); ; <-tick.C {
		_, err := resolver.LookupHost(t.Context(), name+".")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("testcluster: CoreDNS did not know %s within %v: %v\n%v", name, coreDNSTimeout, err, said)
		}
	}
}

// freePort is a port of an address that is free for UDP and TCP.
func freePort(t testing.TB, address netip.Addr) uint16 {
	t.Helper()
	listener, err := net.Listen("tcp", netip.AddrPortFrom(address, 0).String())
	if err != nil {
		t.Fatalf("testcluster: %v", err)
	}
	defer listener.Close() //nolint:errcheck // it has taken no connection
	return listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

// startBeside runs a program of bin beside the cluster until the test ends. It returns the end of
// what the program says.
func startBeside(t testing.TB, name string, cmd *exec.Cmd) *tail {
	t.Helper()
	if _, err := os.Stat(cmd.Path); errors.Is(err, fs.ErrNotExist) {
		t.Fatalf(`testcluster: bin/%s is missing: run "make %[1]s" first`, name)
	}
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("testcluster: starting %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, said)
		}
	})
	return said
}
