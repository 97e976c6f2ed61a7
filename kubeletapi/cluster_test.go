package kubeletapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/access"
)

func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }

func clusterAuthority(t *testing.T, cluster *testcluster.Cluster) *authority.Authority {
	pki := filepath.Join(cluster.Dir(), "pki")
	return authority.Read(t, filepath.Join(pki, "ca.crt"), filepath.Join(pki, "ca.key"))
}

// nodeAuth is the Auth of a node. It asks the API server at host, and has only the rights of a
// node.
func nodeAuth(t *testing.T, cluster *testcluster.Cluster, host, nodeName string, change func(*access.Config)) access.Auth {
	t.Helper()
	signer := clusterAuthority(t, cluster)
	certificate := signer.Sign(t, x509.ExtKeyUsageClientAuth, "system:node:"+nodeName, "system:nodes")
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            host,
		QPS:             -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: signer.PEM, CertData: authority.CertificatePEM(certificate), KeyData: authority.KeyPEM(t, certificate)},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := access.Config{
		Client: client, NodeName: nodeName, ClientCAData: signer.PEM, Log: zaptest.NewLogger(t),
		Tokens: true, TokenTTL: access.DefaultTokenTTL, AllowedTTL: access.DefaultAllowedTTL, DeniedTTL: access.DefaultDeniedTTL,
	}
	if change != nil {
		change(&config)
	}
	auth, err := access.New(config)
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
		wide := metav1.ObjectMeta{Name: namespace + ":" + name} // the name is cluster-wide, as nodes have no namespace
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

// page is a request. One of the rights is enough for it. code is the answer to a user who has one.
type page struct {
	method, path string
	rights       string // "verb subresource", separated by commas
	code         int
}

// allPages has a page for each path and method.
func allPages() []page {
	var pages []page
	for _, p := range []struct {
		path         string
		subresources []string
		get, write   int  // codes: of GET, and of the other methods
		create       bool // the verb is create for every method
	}{
		{"/containerLogs/ns/p/c", []string{"log", "proxy"}, 200, 405, false},
		{"/pods", []string{"pods", "proxy"}, 200, 405, false},
		{"/runningpods/", []string{"pods", "proxy"}, 200, 405, false},
		{"/healthz", []string{"healthz", "proxy"}, 200, 405, false},
		{"/healthz/ping", []string{"healthz", "proxy"}, 200, 405, false},
		{"/healthz/syncloop", []string{"healthz", "proxy"}, 200, 405, false},
		{"/configz", []string{"configz", "proxy"}, 200, 405, false},
		{"/metrics", []string{"metrics"}, 200, 405, false},
		{"/metrics/resource", []string{"metrics"}, 200, 405, false},
		{"/metrics/probes", []string{"metrics"}, 200, 405, false},
		{"/metrics/cadvisor", []string{"metrics"}, 200, 405, false},
		{"/debug/pprof/", []string{"proxy"}, 405, 405, false},
		{"/nothing", []string{"proxy"}, 404, 404, false},
		{"/", []string{"proxy"}, 404, 404, false},
		// Here the code is 0, which means any. Others serve these pages, or methods differ, so only
		// a denied request matters.
		{"/stats/summary", []string{"stats"}, 0, 0, false},
		{"/exec/ns/p/c", []string{"proxy"}, 0, 0, true},
		{"/attach/ns/p/c", []string{"proxy"}, 0, 0, true},
		{"/portForward/ns/p", []string{"proxy"}, 0, 0, true},
	} {
		for _, m := range [][2]string{{"GET", "get"}, {"POST", "create"}, {"PUT", "update"}, {"DELETE", "delete"}} {
			verb, code := m[1], p.write
			if p.create {
				verb = "create"
			}
			if m[0] == "GET" {
				code = p.get
			}
			var rights []string
			for _, subresource := range p.subresources {
				rights = append(rights, verb+" "+subresource)
			}
			pages = append(pages, page{m[0], p.path, strings.Join(rights, ","), code})
		}
	}
	return append(pages, page{"PUT", "/debug/flags/v", "update proxy", 405}, page{"GET", "/debug/flags/v", "get proxy", 405})
}

// The cluster decides who may do what. The test asks a real API server with the rights of a node,
// for each identity, page and method.
//
// docs/security.md: "Who: a client certificate signed by the clients' authority
// (`--client-ca-file`, or the one of the node's kubeconfig), or a bearer
// token, which the API server is asked about (TokenReview)".
// docs/security.md: "May they: the API server is asked (SubjectAccessReview) for the verb of the
// HTTP method on a subresource of this node. Else 403".
// docs/security.md: "A role for a program that reads metrics and logs of all nodes"
// docs/security.md: "`nodes/proxy` is the right to run programs in every pod of the node"
// docs/security.md: "`/containerLogs/NAMESPACE/POD/CONTAINER` | get | `log`, `proxy`"
// docs/security.md: "`/pods`, `/runningpods/` | get | `pods`, `proxy`"
// docs/security.md: "`/healthz`, `/healthz/ping`, `/healthz/syncloop` | get | `healthz`, `proxy`"
// docs/security.md: "`/configz` | get | `configz`, `proxy`"
// docs/security.md: "`/metrics`, `/metrics/…` | get | `metrics`"
// docs/security.md: "`/stats/…` | get | `stats`"
// docs/security.md: "`/exec/…`, `/attach/…`, `/portForward/…` | create, whatever the method |
// `proxy`"
// docs/security.md: "`/debug/pprof/…`, if switched on | get | `proxy`"
// docs/security.md: "`/debug/flags/v`, if switched on | update | `proxy`"
func TestAccessByIdentity(t *testing.T) {
	cluster := testcluster.Start(t)
	namespace := cluster.Namespace(t)
	node := "node-of-" + namespace
	ca, foreign := clusterAuthority(t, cluster), authority.New(t, "kubernetes")
	server := runServer(t, ca, func(c *Config) { c.Auth = nodeAuth(t, cluster, cluster.Config().Host, node, nil) })

	pki := filepath.Join(cluster.Dir(), "pki")
	apiServer, err := tls.LoadX509KeyPair(filepath.Join(pki, "kube-apiserver-kubelet-client.crt"), filepath.Join(pki, "kube-apiserver-kubelet-client.key"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := nodeRule("*", "nodes/proxy", "nodes/log", "nodes/metrics")
	elsewhere.ResourceNames = []string{"another-node"}
	here := nodeRule("get", "nodes/log")
	here.ResourceNames = []string{node}
	client := x509.ExtKeyUsageClientAuth
	token := func(name string, rules ...rbacv1.PolicyRule) string {
		return account(t, cluster, namespace, name, rules...)
	}

	const unknown, nothing, everything = "unknown", "", "*"
	for _, test := range []struct {
		name        string
		certificate *tls.Certificate
		token       string
		may         string // rights, separated by commas
	}{
		{"the API server", &apiServer, "", everything},
		{"an administrator", ca.Sign(t, client, "root", "system:masters"), "", everything},
		{"a user without rights", ca.Sign(t, client, "jo"), "", nothing},
		{"another node", ca.Sign(t, client, "system:node:other", "system:nodes"), "", nothing},
		{"nobody", nil, "", unknown},
		{"an administrator by another authority", foreign.Sign(t, client, "root", "system:masters"), "", unknown},
		{"a server's certificate", ca.Sign(t, x509.ExtKeyUsageServerAuth, "root", "system:masters"), "", unknown},
		{"a made-up token", nil, "abc.def.ghi", unknown},
		{"an account without rights", nil, token("none"), nothing},
		{"an account for logs", nil, token("log", nodeRule("get", "nodes/log")), "get log"},
		{"an account for the logs of this node", nil, token("here", here), "get log"},
		{"an account for pods", nil, token("pods", nodeRule("get", "nodes/pods")), "get pods"},
		{"an account for health, metrics and stats", nil, token("health", nodeRule("get", "nodes/healthz", "nodes/metrics", "nodes/stats")),
			"get healthz,get metrics,get stats"},
		{"the role of docs/security.md", nil, token("reader", nodeRule("get", "nodes/metrics", "nodes/stats", "nodes/log")), "get metrics,get stats,get log"},
		{"an account for the configuration", nil, token("configz", nodeRule("get", "nodes/configz")), "get configz"},
		{"an account that may read through the proxy", nil, token("proxy", nodeRule("get", "nodes/proxy")), "get proxy"},
		{"an account that may write through the proxy", nil, token("create", nodeRule("create", "nodes/proxy")), "create proxy"},
		{"an account for nodes, without what is below them", nil, token("nodes", nodeRule("*", "nodes")), nothing},
		{"an account for another node", nil, token("elsewhere", elsewhere), nothing},
		{"a bad certificate with a good token", foreign.Sign(t, client, "root", "system:masters"), token("both", nodeRule("get", "nodes/log")), "get log"},
	} {
		t.Run(test.name, func(t *testing.T) {
			http := server.client(t, true, test.certificate)
			for _, page := range allPages() {
				want := 403
				switch {
				case test.may == unknown:
					want = 401
				case test.may == everything || overlap(page.rights, test.may):
					want = page.code
				}
				code, text := ask(t, http, page.method, server.url+page.path, test.token)
				if want == 0 && (code == 401 || code == 403) || want != 0 && code != want {
					t.Errorf("%s %s: %d %q, want %d", page.method, page.path, code, text, want)
				}
			}
		})
	}
}

// overlap reports whether two lists have a common element.
func overlap(a, b string) bool {
	for item := range strings.SplitSeq(a, ",") {
		if slices.Contains(strings.Split(b, ","), item) {
			return true
		}
	}
	return false
}

// Settings say how long answers are believed, and whether clients may use tokens.
//
// docs/security.md: "unless `--authentication-token-webhook=false`".
// docs/security.md: "For this time a right that was taken away may still be used; the settings make
// it shorter".
func TestAccessSettings(t *testing.T) {
	cluster := testcluster.Start(t)
	namespace := cluster.Namespace(t)
	ca := clusterAuthority(t, cluster)
	serve := func(change func(*access.Config)) *running {
		return runServer(t, ca, func(c *Config) { c.Auth = nodeAuth(t, cluster, cluster.Config().Host, "node-of-"+namespace, change) })
	}
	token := account(t, cluster, namespace, "fickle", nodeRule("get", "nodes/log"))
	forgetful := serve(func(c *access.Config) { c.TokenTTL, c.AllowedTTL, c.DeniedTTL = 0, 0, 0 })
	trusting, strict := serve(nil), serve(func(c *access.Config) { c.Tokens = false })
	code := func(server *running, client *http.Client, token string) int {
		t.Helper()
		code, _ := ask(t, client, "GET", server.url+"/containerLogs/ns/p/c", token)
		return code
	}
	for server, want := range map[*running]int{forgetful: 200, trusting: 200, strict: 401} {
		if got := code(server, server.client(t, true, nil), token); got != want {
			t.Errorf("at first: %d, want %d", got, want)
		}
	}
	admin := ca.Sign(t, x509.ExtKeyUsageClientAuth, "root", "system:masters")
	if got := code(strict, strict.client(t, true, admin), ""); got != 200 {
		t.Errorf("a certificate where tokens do not count: %d", got)
	}
	if err := cluster.Client().RbacV1().ClusterRoleBindings().Delete(t.Context(), namespace+":fickle", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	testnode.Eventually(t, func() error { // the API server sees it after a moment
		if got := code(forgetful, forgetful.client(t, true, nil), token); got != 403 {
			return fmt.Errorf("once the right is gone: %d", got)
		}
		return nil
	})
	if got := code(trusting, trusting.client(t, true, nil), token); got != 200 {
		t.Errorf("once the right is gone, but is believed in: %d", got)
	}
}

// While the API server cannot be asked, only clients get in that got in before.
//
// docs/security.md: "While the API server cannot be asked, only clients whose answers are still
// believed get in".
func TestAccessWithoutTheAPIServer(t *testing.T) {
	cluster := testcluster.Start(t)
	namespace := cluster.Namespace(t)
	proxy := cluster.Proxy(t)
	ca := clusterAuthority(t, cluster)
	auth := nodeAuth(t, cluster, "https://"+proxy.Addr(), "node-of-"+namespace, nil)
	server := runServer(t, ca, func(c *Config) { c.Auth = auth })
	token := account(t, cluster, namespace, "log", nodeRule("get", "nodes/log"))
	other := account(t, cluster, namespace, "other", nodeRule("get", "nodes/log"))
	admin := server.client(t, true, ca.Sign(t, x509.ExtKeyUsageClientAuth, "root", "system:masters"))
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

// kubectlLogs is a Logs with two containers. The log of "c" is the options, and "live" is followed.
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

// kubectl logs works: the API server finds the node, each recognises the other, and the API server
// passes on logs and errors.
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
