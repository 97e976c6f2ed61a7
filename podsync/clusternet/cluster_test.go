package clusternet_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/podsync/clusternet"
	"github.com/krustlet-go/krustlet-wasi/podsync/informer"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }

// node is a Cluster of a node, and what a worker of the node knows.
type node struct {
	*clusternet.Cluster
	name      string
	client    kubernetes.Interface // an administrator's
	namespace string

	mu       sync.Mutex
	sets     map[string]map[netip.Prefix]bool
	services map[string]runtime.Service
	pods     map[string]runtime.PodRules
	resets   int
}

// newNode runs the Cluster of a node until the test ends. It acts as the node, with the rights that
// hack/rbac gives, or only those of any node.
func newNode(t *testing.T, rights bool) *node {
	t.Helper()
	cluster := testcluster.Start(t)
	file := filepath.Join(testcluster.Root(), "hack", "rbac", "network.yaml")
	if rights {
		cluster.Kubectl(t, "apply", "-f", file)
	} else {
		cluster.Kubectl(t, "delete", "--ignore-not-found", "-f", file)
	}
	n := &node{client: cluster.Client(), namespace: cluster.Namespace(t), name: "net-" + strings.ToLower(t.Name())}
	own := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{corev1.LabelTopologyZone: "z1"}}}
	if _, err := n.client.CoreV1().Nodes().Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.client.CoreV1().Nodes().Delete(context.Background(), n.name, metav1.DeleteOptions{})
	})
	config := cluster.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:node:" + n.name, Groups: []string{"system:nodes", "system:authenticated"}}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	n.Cluster = clusternet.New(clusternet.Config{
		Client: client, Node: n.name, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Machine:  func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.0.2.2")}, nil },
		Services: true, Log: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)),
	})
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { n.Run(ctx) })
	work.Go(func() { n.watchServices(ctx, t) })
	work.Go(func() { n.follow(ctx) })
	t.Cleanup(func() { stop(); work.Wait() })
	return n
}

// watchServices tells of the Services of the cluster, as the pods' manager does.
func (n *node) watchServices(ctx context.Context, t *testing.T) {
	all := n.client.CoreV1().Services(metav1.NamespaceAll)
	source := informer.ListWatch[*corev1.Service]{
		List: func(ctx context.Context, opts metav1.ListOptions) ([]*corev1.Service, metav1.ListMeta, error) {
			list, err := all.List(ctx, opts)
			if err != nil {
				return nil, metav1.ListMeta{}, err
			}
			return informer.Pointers(list.Items), list.ListMeta, nil
		},
		Watch: all.Watch,
	}
	handler := informer.Handler[*corev1.Service]{Set: func(_, s *corev1.Service) { n.SetService(s) }, Delete: n.DeleteService}
	i := informer.New(source, handler, zap.NewNop())
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		if i.WaitForSync(ctx) == nil {
			n.ServicesListed()
		}
	})
	if err := i.Run(ctx); err != nil {
		t.Error(err)
	}
}

// follow is a worker: it applies changes as they come.
func (n *node) follow(ctx context.Context) {
	for state := uint64(0); ; {
		u, now, more := n.Changes(state)
		if now == state {
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
			continue
		}
		n.apply(u)
		state = now
	}
}

func (n *node) apply(u runtime.NetworkUpdate) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u.Reset {
		n.resets++
		n.sets, n.services, n.pods = map[string]map[netip.Prefix]bool{}, map[string]runtime.Service{}, map[string]runtime.PodRules{}
	}
	for _, s := range u.Sets {
		if s.Reset || n.sets[s.Name] == nil {
			n.sets[s.Name] = map[netip.Prefix]bool{}
		}
		for _, p := range s.Remove {
			delete(n.sets[s.Name], p)
		}
		for _, p := range s.Add {
			n.sets[s.Name][p] = true
		}
	}
	for _, s := range u.Services {
		n.services[s.Name] = s
	}
	for _, p := range u.Pods {
		n.pods[p.Pod] = p
	}
}

// has reports whether a set has an address.
func (n *node) has(set, address string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := netip.MustParseAddr(address)
	return n.sets[set][netip.PrefixFrom(a, a.BitLen())]
}

// ingress is the only rule about connections to a pod; ok is false if there is not one.
func (n *node) ingress(pod string) (rule runtime.Rule, isolated bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.pods[pod].Ingress
	if r == nil || len(r.List) != 1 {
		return runtime.Rule{}, r != nil
	}
	return r.List[0], true
}

// local is a pod of the node.
func (n *node) local(uid, ip string, annotations map[string]string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: uid, UID: types.UID(uid), Labels: map[string]string{"app": "web"}, Annotations: annotations}}
	pod.Status.PodIPs = []corev1.PodIP{{IP: ip}}
	return pod
}

// remote makes a pod of another node, with an address.
func (n *node) remote(t *testing.T, name, ip string) {
	t.Helper()
	pods := n.client.CoreV1().Pods(n.namespace)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "client"}}, Spec: corev1.PodSpec{
		NodeName: "another", Containers: []corev1.Container{{Name: "a", Image: "a.example/a"}},
	}}
	pod, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status.PodIP, pod.Status.PodIPs, pod.Status.HostIP = ip, []corev1.PodIP{{IP: ip}}, "192.0.2.77"
	if _, err := pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (n *node) kubectlApply(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "object.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	testcluster.Start(t).Kubectl(t, "apply", "-n", n.namespace, "-f", file)
}

func (n *node) condition(t *testing.T, of corev1.NodeConditionType) corev1.NodeCondition {
	t.Helper()
	all := n.Conditions()
	i := slices.IndexFunc(all, func(c corev1.NodeCondition) bool { return c.Type == of })
	return all[i]
}

// await waits until guests can start.
func (n *node) await(t *testing.T, connects bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := n.Await(ctx, connects); err != nil {
		t.Fatal(err)
	}
}

const allowClients = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 80}]}]
`

// TestPolicy: from kubectl apply to what workers know, with the rights of hack/rbac.
func TestPolicy(t *testing.T) {
	n := newNode(t, true)
	n.SetPod(n.local("u1", "10.0.0.1", nil))
	n.await(t, false)
	if r := n.Rules("u1"); r.Ingress != nil || r.Pod != "u1" {
		t.Errorf("without policies a pod has the rules %+v", r)
	}
	if c := n.condition(t, clusternet.ConditionPolicies); c.Status != corev1.ConditionTrue {
		t.Errorf("%+v", c)
	}
	for _, a := range []string{"192.0.2.1", "192.0.2.2"} {
		eventually.True(t, "the node's own addresses are known", func() bool { return n.has(runtime.NodeSet, a) })
	}
	eventually.True(t, "addresses of Services are of the cluster", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.sets[runtime.ClusterSet]) > 0
	})
	n.remote(t, "early", "10.0.1.1")
	n.kubectlApply(t, allowClients)
	eventually.True(t, "the policy isolates the pod, and allows the pods that it selects", func() bool {
		rule, isolated := n.ingress("u1")
		return isolated && len(rule.Sets) == 1 && n.has(rule.Sets[0], "10.0.1.1") && slices.Equal(rule.Ports, []runtime.PortRange{{First: 80, Last: 80}})
	})
	if !n.Admits("u1", netip.MustParseAddr("10.0.1.1"), 80) || n.Admits("u1", netip.MustParseAddr("10.0.1.9"), 80) || !n.Admits("u1", netip.MustParseAddr("192.0.2.2"), 80) {
		t.Error("the agent forwards other connections than the policy and the node's own")
	}
	rule, _ := n.ingress("u1")
	n.remote(t, "late", "10.0.1.2")
	eventually.True(t, "a new pod is allowed", func() bool { return n.has(rule.Sets[0], "10.0.1.2") })
	if err := n.client.CoreV1().Pods(n.namespace).Delete(t.Context(), "early", *metav1.NewDeleteOptions(0)); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "a deleted pod is not allowed any more", func() bool { return !n.has(rule.Sets[0], "10.0.1.1") })
	n.SetPod(n.local("u2", "10.0.0.2", nil))
	if r := n.Rules("u2"); r.Ingress == nil {
		t.Error("a new pod starts without rules")
	}
	state := n.State()
	joins := &node{}
	u, now, _ := n.Changes(0)
	if joins.apply(u); now != state || !u.Reset || joins.pods["u2"].Ingress == nil || !joins.has(rule.Sets[0], "10.0.1.2") {
		t.Errorf("a new worker is told %+v", u)
	}
	testcluster.Start(t).Kubectl(t, "delete", "networkpolicy", "web", "-n", n.namespace)
	eventually.True(t, "without the policy all is allowed again", func() bool { _, isolated := n.ingress("u1"); return !isolated })
	n.DeletePod("u1")
	eventually.True(t, "a pod that is gone has no rules", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.pods["u1"].Gone
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.resets != 1 {
		t.Errorf("a worker was told everything %d times", n.resets)
	}
}

// TestPolicyHoldsSoon: workers are told of a change within 200 ms, as docs/networkpolicy.md says.
// The fastest of some changes counts, because the machine may be busy.
func TestPolicyHoldsSoon(t *testing.T) {
	n := newNode(t, true)
	n.SetPod(n.local("u1", "10.0.0.1", nil))
	n.await(t, false)
	deny := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "deny"}, Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}}
	policies := n.client.NetworkingV1().NetworkPolicies(n.namespace)
	fastest := time.Hour
	for range 5 {
		if _, err := policies.Create(t.Context(), deny, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		began := time.Now() // the API server has told it, or is about to
		eventually.True(t, "the policy holds", func() bool { _, isolated := n.ingress("u1"); return isolated })
		fastest = min(fastest, time.Since(began))
		if err := policies.Delete(t.Context(), "deny", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually.True(t, "the policy holds no more", func() bool { _, isolated := n.ingress("u1"); return !isolated })
	}
	t.Logf("workers were told after %v", fastest)
	if fastest > 200*time.Millisecond {
		t.Errorf("the fastest change took %v", fastest)
	}
}

// TestNamespaceLimit: the node knows the annotations of Namespaces.
func TestNamespaceLimit(t *testing.T) {
	n := newNode(t, true)
	n.await(t, false)
	testcluster.Start(t).Kubectl(t, "annotate", "namespace", n.namespace, "krustlet-wasi.dev/egress-limit=cluster")
	eventually.True(t, "the annotation is known", func() bool {
		ns := n.Namespace(n.namespace)
		return ns != nil && ns.Annotations["krustlet-wasi.dev/egress-limit"] == "cluster"
	})
}

const slice = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: ["10.0.2.%d"], conditions: {ready: true}}]
`

// TestServices: endpoints are watched while a pod may connect to something.
func TestServices(t *testing.T) {
	n := newNode(t, true)
	n.kubectlApply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{name: http, port: 80}]}\n")
	n.kubectlApply(t, fmt.Sprintf(slice, 1))
	n.SetPod(n.local("quiet", "10.0.0.1", map[string]string{"krustlet-wasi.dev/egress": ""}))
	n.await(t, false)
	if c := n.condition(t, clusternet.ConditionServices); c.Reason != "NotNeeded" {
		t.Errorf("while no pod connects: %+v", c)
	}
	leads := func(to string) func() bool {
		return func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			ports := n.services[n.namespace+"/web"].Ports
			return len(ports) == 1 && slices.Equal(ports[0].Endpoints, []netip.AddrPort{netip.MustParseAddrPort(to)})
		}
	}
	n.SetPod(n.local("talks", "10.0.0.2", map[string]string{"krustlet-wasi.dev/egress": "cluster"}))
	n.await(t, true)
	eventually.True(t, "the Service leads to its endpoint", leads("10.0.2.1:8080"))
	n.kubectlApply(t, fmt.Sprintf(slice, 2))
	eventually.True(t, "the Service leads to its new endpoint", leads("10.0.2.2:8080"))
	if c := n.condition(t, clusternet.ConditionServices); c.Status != corev1.ConditionTrue || c.Reason != "Led" {
		t.Errorf("%+v", c)
	}
	n.DeletePod("talks")
	eventually.True(t, "the endpoints are not watched any more", func() bool {
		return n.condition(t, clusternet.ConditionServices).Reason == "NotNeeded"
	})
	n.kubectlApply(t, fmt.Sprintf(slice, 3))
	n.SetPod(n.local("again", "10.0.0.3", map[string]string{"krustlet-wasi.dev/egress": "*"}))
	n.await(t, true)
	eventually.True(t, "the Service leads to what was changed meanwhile", leads("10.0.2.3:8080"))
}

// TestWithoutRights: a node that may not read policies starts its pods, and says that it enforces
// none. When it gets the rights, it does.
func TestWithoutRights(t *testing.T) {
	n := newNode(t, false)
	n.kubectlApply(t, allowClients)
	n.SetPod(n.local("u1", "10.0.0.1", map[string]string{"krustlet-wasi.dev/egress": "cluster"}))
	n.await(t, true)
	if r := n.Rules("u1"); r.Ingress != nil {
		t.Errorf("the pod has rules: %+v", r)
	}
	eventually.True(t, "the node says that it enforces no policies", func() bool {
		c := n.condition(t, clusternet.ConditionPolicies)
		return c.Status == corev1.ConditionFalse && c.Reason == "Forbidden" && strings.Contains(c.Message, "networkpolicies, namespaces")
	})
	if c := n.condition(t, clusternet.ConditionServices); c.Status != corev1.ConditionFalse || !strings.Contains(c.Message, "endpointslices") {
		t.Errorf("%+v", c)
	}
	testcluster.Start(t).Kubectl(t, "apply", "-f", filepath.Join(testcluster.Root(), "hack", "rbac", "network.yaml"))
	eventually.Within(t, 2*time.Minute, "the node enforces policies", func() bool {
		_, isolated := n.ingress("u1")
		return isolated && n.condition(t, clusternet.ConditionPolicies).Status == corev1.ConditionTrue
	})
}

// TestNothingBeforeTheLists: no guest starts and nothing is told while the API server cannot be
// reached.
func TestNothingBeforeTheLists(t *testing.T) {
	cluster := testcluster.Start(t)
	proxy := cluster.Proxy(t)
	proxy.Cut()
	config := cluster.Config()
	config.Host = "https://" + proxy.Addr()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	c := clusternet.New(clusternet.Config{
		Client: client, Node: "n", Machine: func() ([]netip.Addr, error) { return nil, nil }, Log: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)),
	})
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { c.Run(ctx) })
	c.ServicesListed()
	impatient, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.Await(impatient, false); err == nil || !strings.Contains(err.Error(), "networkpolicies") {
		t.Errorf("a guest may start: %v", err)
	}
	if _, now, _ := c.Changes(0); now != 0 || c.State() != 0 || c.Admits("u", netip.MustParseAddr("10.0.0.1"), 80) {
		t.Errorf("state %d is told", now)
	}
	proxy.Restore()
	patient, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.Await(patient, false); err != nil {
		t.Error(err)
	}
}
