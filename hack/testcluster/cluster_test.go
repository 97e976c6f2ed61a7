package testcluster

import (
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestStartTwiceGivesOneCluster(t *testing.T) {
	first, second := Start(t), Start(t)
	if first != second {
		t.Errorf("two calls of Start gave the clusters %s and %s", first.Dir(), second.Dir())
	}
}

func TestVersion(t *testing.T) {
	c := Start(t)
	var version struct {
		ClientVersion, ServerVersion struct{ GitVersion string }
	}
	out := c.Kubectl(t, "version", "-o", "json")
	if err := json.Unmarshal([]byte(out), &version); err != nil {
		t.Fatalf("kubectl version: %v in %s", err, out)
	}
	const want = "v1.36.3"
	if version.ClientVersion.GitVersion != want || version.ServerVersion.GitVersion != want {
		t.Errorf("kubectl says %+v, want %s twice", version, want)
	}
}

func TestNamespaceTakesPods(t *testing.T) {
	c := Start(t)
	first, second := c.Namespace(t), c.Namespace(t)
	if first == second {
		t.Fatalf("two namespaces of one test have the name %s", first)
	}
	pod, err := c.Client().CoreV1().Pods(first).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "pod"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "localhost/none:v1"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("making a pod: %v", err)
	}
	if pod.Spec.ServiceAccountName != "default" {
		t.Errorf("the pod has the service account %q", pod.Spec.ServiceAccountName)
	}
}

func TestNamespaceIsDeletedWithItsTest(t *testing.T) {
	c := Start(t)
	var name string
	t.Run("inner", func(t *testing.T) { name = c.Namespace(t) })
	namespace, err := c.Client().CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	if err == nil && namespace.DeletionTimestamp == nil {
		t.Errorf("%s is not being deleted", name)
	}
}

func TestNamespacePrefix(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"TestX", "testx-"},
		{"TestX/a_b#01", "testx-a-b-01-"},
		{"TestÜber", "test-ber-"},
		{"Test" + strings.Repeat("x", 45) + "/y", "test" + strings.Repeat("x", 45) + "-"},
	} {
		got := namespacePrefix(test.name)
		if got != test.want {
			t.Errorf("namespacePrefix(%q) = %q, want %q", test.name, got, test.want)
		}
		if bad := validation.IsDNS1123Label(got + "abcde"); len(bad) > 0 {
			t.Errorf("%q makes no name for a namespace: %v", got, bad)
		}
	}
}

// TestNodesGetAddressRanges: a node gets a part of the pods' address range.
func TestNodesGetAddressRanges(t *testing.T) {
	c := Start(t)
	nodes := c.Client().CoreV1().Nodes()
	node, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "ranges-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kubectl(t, "delete", "node", node.Name)
	eventually.Succeeds(t, func() error {
		node, err = nodes.Get(t.Context(), node.Name, metav1.GetOptions{})
		if err == nil && node.Spec.PodCIDR == "" {
			return io.ErrNoProgress
		}
		return err
	})
	// The range is always local, so no agent must add a route to the machine that runs the tests.
	if block, err := netip.ParsePrefix(node.Spec.PodCIDR); err != nil || !block.Addr().IsLoopback() {
		t.Errorf("the node's range %s is not on loopback (%v)", node.Spec.PodCIDR, err)
	}
}

func TestProxyCutAndRestore(t *testing.T) {
	c := Start(t)
	proxy := c.Proxy(t)
	config := c.Config()
	config.Host = "https://" + proxy.Addr()
	config.Timeout = 10 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	request := func() error {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
		return err
	}
	if err := request(); err != nil {
		t.Fatalf("a request through the proxy: %v", err)
	}
	watch, err := client.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("a watch through the proxy: %v", err)
	}
	defer watch.Stop()
	for range 2 {
		proxy.Cut()
		proxy.Cut()
		if request() == nil {
			t.Error("a request went through the proxy while it was cut")
		}
		proxy.Restore()
		proxy.Restore()
		if err := request(); err != nil {
			t.Errorf("a request after the proxy was restored: %v", err)
		}
	}
	timeout := time.After(10 * time.Second)
	for open := true; open; {
		select {
		case _, open = <-watch.ResultChan():
		case <-timeout:
			t.Fatal("the watch outlived the cut")
		}
	}
}

// TestKilledComponentsComeBack: if the API server is killed, it is started again with the same
// address and the same data.
func TestKilledComponentsComeBack(t *testing.T) {
	c := Start(t)
	namespace := c.Namespace(t)
	for _, component := range []string{"kube-apiserver", "etcd"} {
		file := filepath.Join(c.Dir(), component+".pid")
		before := readPID(t, file)
		kill(t, before)
		eventually.Succeeds(t, func() error {
			content, err := os.ReadFile(file)
			if err == nil && parsePID(content) == before {
				return io.ErrNoProgress
			}
			return err
		})
		eventually.Succeeds(t, func() error {
			_, err := c.Client().CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
			return err
		})
	}
}

func TestStartFailureShowsTheLog(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	_, err := newCluster()
	if err == nil {
		t.Fatal("a cluster started in a folder that is not there")
	}
	if !strings.Contains(err.Error(), "making the folder given by --dir") {
		t.Errorf("the error does not say why: %v", err)
	}
}
