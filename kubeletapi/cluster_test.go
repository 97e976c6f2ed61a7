package kubeletapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
)

func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }

func clusterAuthority(t *testing.T, cluster *testcluster.Cluster) *authority {
	pki := filepath.Join(cluster.Dir(), "pki")
	return readAuthority(t, filepath.Join(pki, "ca.crt"), filepath.Join(pki, "ca.key"))
}

// nodeAuth is the Auth of a node which asks the API server at host with the
// rights that a node has, and no others.
func nodeAuth(t *testing.T, cluster *testcluster.Cluster, host, nodeName string, change func(*AuthConfig)) Auth {
	t.Helper()
	signer := clusterAuthority(t, cluster)
	certificate := signer.sign(t, x509.ExtKeyUsageClientAuth, "system:node:"+nodeName, "system:nodes")
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            host,
		QPS:             -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: signer.pem, CertData: certPEM(certificate), KeyData: keyPEM(t, certificate)},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := AuthConfig{
		Client: client, NodeName: nodeName, ClientCAData: signer.pem, Log: zaptest.NewLogger(t),
		Tokens: true, TokenTTL: DefaultTokenTTL, AllowedTTL: DefaultAllowedTTL, DeniedTTL: DefaultDeniedTTL,
	}
	if change != nil {
		change(&config)
	}
	auth, err := NewAuth(config)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// account makes a service account that may do what rules say, and returns its
// token.
func account(t *testing.T, cluster *testcluster.Cluster, namespace, name string, rules ...rbacv1.PolicyRule) string {
	t.Helper()
	ctx, client := t.Context(), cluster.Client()
	meta := metav1.ObjectMeta{Name: name}
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(rules) > 0 {
		wide := metav1.ObjectMeta{Name: namespace + ":" + name} // nodes are not in namespaces
		role, err := client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: wide, Rules: rules}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: wide,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = client.RbacV1().ClusterRoleBindings().Delete(context.Background(), wide.Name, metav1.DeleteOptions{})
			_ = client.RbacV1().ClusterRoles().Delete(context.Background(), wide.Name, metav1.DeleteOptions{})
		})
	}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

func nodeRule(verb string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: []string{verb}, Resources: resources}
}

// ask sends a request and returns the answer's code and text.
func ask(t *testing.T, client *http.Client, method, url, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// Who may do what is the cluster's decision: identities x pages, asked of a real
// API server with the rights of a node.
func TestAccessByIdentity(t *testing.T) {
	cluster := testcluster.Start(t)
	namespace := cluster.Namespace(t)
	node := "node-of-" + namespace
	ca, foreign := clusterAuthority(t, cluster), newAuthority(t, "kubernetes")
	server := runServer(t, ca, func(c *Config) { c.Auth = nodeAuth(t, cluster, cluster.Config().Host, node, nil) })

	pki := filepath.Join(cluster.Dir(), "pki")
	apiServer, err := tls.LoadX509KeyPair(filepath.Join(pki, "kube-apiserver-kubelet-client.crt"), filepath.Join(pki, "kube-apiserver-kubelet-client.key"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := nodeRule("get", "nodes/proxy", "nodes/log")
	elsewhere.ResourceNames = []string{"another-node"}
	client := x509.ExtKeyUsageClientAuth

	pages := []struct{ method, path string }{
		{"GET", "/containerLogs/ns/p/c"}, {"GET", "/pods"}, {"GET", "/healthz"}, {"GET", "/metrics"}, {"GET", "/nothing"}, {"POST", "/pods"}, {"GET", "/exec/ns/p/c"},
	}
	tests := []struct {
		name        string
		certificate *tls.Certificate
		token       string
		codes       [7]int // by pages
	}{
		{"the API server", &apiServer, "", [7]int{200, 200, 200, 404, 404, 405, 400}},
		{"an administrator", ca.sign(t, client, "root", "system:masters"), "", [7]int{200, 200, 200, 404, 404, 405, 400}},
		{"a user without rights", ca.sign(t, client, "jo"), "", [7]int{403, 403, 403, 403, 403, 403, 403}},
		{"nobody", nil, "", [7]int{401, 401, 401, 401, 401, 401, 401}},
		{"an administrator by another authority", foreign.sign(t, client, "root", "system:masters"), "", [7]int{401, 401, 401, 401, 401, 401, 401}},
		{"a server's certificate", ca.sign(t, x509.ExtKeyUsageServerAuth, "root", "system:masters"), "", [7]int{401, 401, 401, 401, 401, 401, 401}},
		{"a made-up token", nil, "abc.def.ghi", [7]int{401, 401, 401, 401, 401, 401, 401}},
		{"an account without rights", nil, account(t, cluster, namespace, "none"), [7]int{403, 403, 403, 403, 403, 403, 403}},
		{"an account for logs", nil, account(t, cluster, namespace, "log", nodeRule("get", "nodes/log")), [7]int{200, 403, 403, 403, 403, 403, 403}},
		{"an account for pods", nil, account(t, cluster, namespace, "pods", nodeRule("get", "nodes/pods")), [7]int{403, 200, 403, 403, 403, 403, 403}},
		{"an account for health and metrics", nil, account(t, cluster, namespace, "health", nodeRule("get", "nodes/healthz", "nodes/metrics")),
			[7]int{403, 403, 200, 404, 403, 403, 403}},
		{"an account that may read through the proxy", nil, account(t, cluster, namespace, "proxy", nodeRule("get", "nodes/proxy")),
			[7]int{200, 200, 200, 403, 404, 403, 403}},
		{"an account that may write through the proxy", nil, account(t, cluster, namespace, "create", nodeRule("create", "nodes/proxy")),
			[7]int{403, 403, 403, 403, 403, 405, 400}},
		{"an account for another node", nil, account(t, cluster, namespace, "elsewhere", elsewhere), [7]int{403, 403, 403, 403, 403, 403, 403}},
		{"a bad certificate with a good token", foreign.sign(t, client, "root", "system:masters"),
			account(t, cluster, namespace, "both", nodeRule("get", "nodes/log")), [7]int{200, 403, 403, 403, 403, 403, 403}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			http := server.client(t, true, test.certificate)
			for n, page := range pages {
				if code, text := ask(t, http, page.method, server.url+page.path, test.token); code != test.codes[n] {
					t.Errorf("%s %s: %d %q, want %d", page.method, page.path, code, text, test.codes[n])
				}
			}
		})
	}
}

// While the cluster cannot be asked, nobody gets in who was not in before.
func TestAccessWithoutTheAPIServer(t *testing.T) {
	cluster := testcluster.Start(t)
	namespace := cluster.Namespace(t)
	proxy := cluster.Proxy(t)
	ca := clusterAuthority(t, cluster)
	auth := nodeAuth(t, cluster, "https://"+proxy.Addr(), "node-of-"+namespace, nil)
	server := runServer(t, ca, func(c *Config) { c.Auth = auth })
	token := account(t, cluster, namespace, "log", nodeRule("get", "nodes/log"))
	other := account(t, cluster, namespace, "other", nodeRule("get", "nodes/log"))
	admin := server.client(t, true, ca.sign(t, x509.ExtKeyUsageClientAuth, "root", "system:masters"))
	plain := server.client(t, true, nil)
	const page = "/containerLogs/ns/p/c"

	if code, text := ask(t, plain, "GET", server.url+page, token); code != 200 {
		t.Fatalf("before: %d %q", code, text)
	}
	proxy.Cut()
	for _, test := range []struct {
		name   string
		client *http.Client
		token  string
		code   int
	}{
		{"a token seen before", plain, token, 200},
		{"a new token", plain, other, 401},
		{"an administrator never seen before", admin, "", 500},
	} {
		if code, text := ask(t, test.client, "GET", server.url+page, test.token); code != test.code {
			t.Errorf("%s: %d %q, want %d", test.name, code, text, test.code)
		}
	}
	proxy.Restore()
	if code, text := ask(t, plain, "GET", server.url+page, other); code != 200 {
		t.Errorf("afterwards: %d %q", code, text)
	}
}

// kubectlLogs is a Logs with the containers "c", whose log is the options, and
// "live", which is followed.
type kubectlLogs struct{ live *lines }

func (k *kubectlLogs) ContainerLogs(ctx context.Context, namespace, pod, container string, opts *corev1.PodLogOptions, w io.Writer) error {
	switch {
	case container == "live":
		return k.live.ContainerLogs(ctx, namespace, pod, container, opts, w)
	case opts.Previous:
		return apierrors.NewBadRequest("previous terminated container \"c\" in pod \"" + pod + "\" not found")
	}
	text := namespace + "/" + pod + "/" + container
	if opts.TailLines != nil {
		text += " tail " + strconv.FormatInt(*opts.TailLines, 10)
	}
	if opts.SinceSeconds != nil {
		text += " since " + strconv.FormatInt(*opts.SinceSeconds, 10)
	}
	_, err := io.WriteString(w, text+"\n")
	return err
}

// podOnNode makes a Node whose API is at url, and a pod bound to it.
func podOnNode(t *testing.T, cluster *testcluster.Cluster, namespace, node, url string) {
	t.Helper()
	ctx, client := t.Context(), cluster.Client()
	_, portText, err := net.SplitHostPort(strings.TrimPrefix(url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(portText, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: node},
		Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CoreV1().Nodes().Delete(context.Background(), node, metav1.DeleteOptions{}) })
	_, err = client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p"},
		Spec: corev1.PodSpec{
			NodeName:    node,
			Containers:  []corev1.Container{{Name: "c", Image: "example.test/c"}, {Name: "live", Image: "example.test/live"}},
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.CoreV1().Pods(namespace).Delete(context.Background(), "p", *metav1.NewDeleteOptions(0))
	})
}

// The API server finds the node, recognises it, is recognised, and passes logs
// and errors on.
func TestKubectlLogs(t *testing.T) {
	cluster := testcluster.Start(t)
	namespace := cluster.Namespace(t)
	node := "node-of-" + namespace
	logs := &kubectlLogs{live: newLines()}
	server := runServer(t, clusterAuthority(t, cluster), func(c *Config) {
		c.Auth = nodeAuth(t, cluster, cluster.Config().Host, node, nil)
		c.Logs = logs
	})
	podOnNode(t, cluster, namespace, node, server.url)

	want := namespace + "/p/c tail 3 since 60\n"
	if got := cluster.Kubectl(t, "logs", "-n", namespace, "p", "-c", "c", "--tail=3", "--since=1m"); got != want {
		t.Errorf("kubectl logs printed %q, want %q", got, want)
	}

	pods := cluster.Client().CoreV1().Pods(namespace)
	_, err := pods.GetLogs("p", &corev1.PodLogOptions{Container: "c", Previous: true}).Stream(t.Context())
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `previous terminated container "c" in pod "p" not found`) {
		t.Errorf("the node's 400 arrived as %v", err)
	}

	stream, err := pods.GetLogs("p", &corev1.PodLogOptions{Container: "live", Follow: true}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	reader := bufio.NewReader(stream)
	for _, line := range []string{"one", "two", "three"} {
		sent := time.Now()
		logs.live.next <- line
		got, err := reader.ReadString('\n')
		if err != nil || got != line+"\n" {
			t.Fatalf("read %q, %v; want %q", got, err, line)
		}
		t.Logf("%q took %v", line, time.Since(sent))
	}
	server.stop()
	if rest, err := io.ReadAll(reader); err != nil || len(rest) != 0 {
		t.Errorf("when the node shuts down: %q, %v; want an orderly end", rest, err)
	}
}
