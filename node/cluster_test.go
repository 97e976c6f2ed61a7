package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/keyutil"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
)

func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }

const patient = 60 * time.Second

// member is a node of the test's cluster. It uses the node's own certificate, so NodeRestriction
// limits it.
type member struct {
	*testcluster.Cluster
	t      *testing.T
	cfg    Config
	client kubernetes.Interface
	events record.EventRecorder
	logs   *observer.ObservedLogs
	log    *zap.Logger
}

func newMember(t *testing.T) *member {
	t.Helper()
	name := "node-" + strings.ToLower(rand.Text()[:8])
	core, logs := observer.New(zap.InfoLevel)
	m := &member{Cluster: testcluster.Start(t), t: t, logs: logs, log: zap.New(core)}
	m.cfg = Config{
		Name: name, Hostname: name + ".test", IP: net.IPv4(127, 0, 0, 1), Port: 3000, MaxPods: 17,
		DataDir: t.TempDir(), Version: "0.1.0", RuntimeVersion: "wasmtime://39.0.1",
		Labels: map[string]string{"topology.kubernetes.io/zone": "here", "example.com/team": "a"},
	}
	m.client = m.as("")
	t.Cleanup(func() {
		err := m.Client().CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("deleting the Node: %v", err)
		}
	})
	return m
}

// as returns a client with the node's own certificate for a server. An empty server means the
// cluster's.
func (m *member) as(server string) kubernetes.Interface {
	m.t.Helper()
	ca, err := tls.LoadX509KeyPair(filepath.Join(m.Dir(), "pki", "ca.crt"), filepath.Join(m.Dir(), "pki", "ca.key"))
	if err != nil {
		m.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		m.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "system:node:" + m.cfg.Name, Organization: []string{"system:nodes"}},
		NotBefore:    time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		m.t.Fatal(err)
	}
	config := m.Config()
	if server == "" {
		server = config.Host
	}
	config = &rest.Config{Host: server, QPS: -1, TLSClientConfig: rest.TLSClientConfig{
		CAFile: config.CAFile, CAData: config.CAData,
		CertData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), KeyData: keyPEM,
	}}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		m.t.Fatal(err)
	}
	return client
}

// run runs the Node in a goroutine, and returns when it is registered. The returned function ends
// it.
func (m *member) run() (stop func()) {
	m.t.Helper()
	n, err := New(m.cfg, m.client, m.events, m.log)
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		if err := n.Run(ctx); err != nil {
			m.t.Errorf("Run: %v", err)
		}
	}()
	stop = func() { cancel(); <-finished }
	m.t.Cleanup(stop)
	select {
	case <-n.registered:
	case <-time.After(patient):
		m.t.Fatalf("not registered after %s: %v", patient, m.logs.All())
	}
	return stop
}

// get returns the Node, or nil if it does not exist.
func (m *member) get() *corev1.Node {
	m.t.Helper()
	node, err := m.Client().CoreV1().Nodes().Get(m.t.Context(), m.cfg.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return node
}

func (m *member) eventually(what string, within time.Duration, done func() bool) {
	m.t.Helper()
	eventually.Within(m.t, within, what, done)
}

func (m *member) patch(patch any, subresources ...string) {
	m.t.Helper()
	data, err := json.Marshal(patch)
	if err != nil {
		m.t.Fatal(err)
	}
	_, err = m.Client().CoreV1().Nodes().Patch(m.t.Context(), m.cfg.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{}, subresources...)
	if err != nil {
		m.t.Fatal(err)
	}
}

func condition(node *corev1.Node, kind corev1.NodeConditionType) corev1.NodeCondition {
	for _, c := range node.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.NodeCondition{}
}

func TestRegister(t *testing.T) {
	m := newMember(t)
	m.run()
	node := m.get()

	for key, want := range map[string]string{
		"kubernetes.io/arch": "wasm32-wasi", "kubernetes.io/os": "wasm32-wasi",
		"beta.kubernetes.io/arch": "wasm32-wasi", "beta.kubernetes.io/os": "wasm32-wasi",
		"kubernetes.io/hostname": m.cfg.Hostname, "type": "krustlet",
		"topology.kubernetes.io/zone": "here", "example.com/team": "a",
	} {
		if got := node.Labels[key]; got != want {
			t.Errorf("label %s is %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"node.alpha.kubernetes.io/ttl", "volumes.kubernetes.io/controller-managed-attach-detach"} {
		if node.Annotations[key] == "" {
			t.Errorf("there is no annotation %s", key)
		}
	}
	for _, effect := range []corev1.TaintEffect{"NoSchedule", "NoExecute"} {
		if !slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool {
			return taint.Key == "kubernetes.io/arch" && taint.Value == "wasm32-wasi" && taint.Effect == effect
		}) {
			t.Errorf("there is no %s taint in %v", effect, node.Spec.Taints)
		}
	}
	if got := node.Status.Capacity.Cpu().Value(); got < int64(runtime.NumCPU()) {
		t.Errorf("the capacity is %d cores, this process alone may use %d", got, runtime.NumCPU())
	}
	for _, resource := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		capacity, allocatable := node.Status.Capacity[resource], node.Status.Allocatable[resource]
		if allocatable.Sign() <= 0 || allocatable.Cmp(capacity) >= 0 {
			t.Errorf("%s: %s of %s allocatable", resource, allocatable.String(), capacity.String())
		}
	}
	if got := node.Status.Allocatable.Pods().Value(); got != 17 {
		t.Errorf("%d pods are allocatable", got)
	}
	if got := node.Status.DaemonEndpoints.KubeletEndpoint.Port; got != 3000 {
		t.Errorf("the kubelet's port is %d", got)
	}
	info := node.Status.NodeInfo
	if info.Architecture != "wasm-wasi" || info.ContainerRuntimeVersion != "wasmtime://39.0.1" ||
		info.KubeletVersion != "v1.36.3+krustlet-wasi.0.1.0" || info.KernelVersion == "" || info.OSImage == "" || info.BootID == "" {
		t.Errorf("the node's information is %+v", info)
	}
	out := m.Kubectl(t, "get", "node", m.cfg.Name, "-o", "wide", "--no-headers")
	for _, want := range []string{" Ready ", "127.0.0.1", "v1.36.3+krustlet-wasi.0.1.0", "wasmtime://39.0.1"} {
		if !strings.Contains(out, want) {
			t.Errorf("kubectl get node does not show %q: %s", want, out)
		}
	}
	for _, kind := range []corev1.NodeConditionType{"MemoryPressure", "DiskPressure", "PIDPressure"} {
		if c := condition(node, kind); c.Status != corev1.ConditionFalse {
			t.Errorf("%s is %+v", kind, c)
		}
	}
	// Kubernetes also finds the node ready: it removes the taint that it had set.
	m.eventually("node without the not-ready taint", patient, func() bool {
		return !slices.ContainsFunc(m.get().Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == corev1.TaintNodeNotReady })
	})
}

func TestRegisterWithoutTaints(t *testing.T) {
	m := newMember(t)
	m.cfg.Taints = []corev1.Taint{}
	m.run()
	m.eventually("node without taints", patient, func() bool { return len(m.get().Spec.Taints) == 0 })
}

func TestLease(t *testing.T) {
	m := newMember(t)
	m.run()
	leases := m.Client().CoordinationV1().Leases("kube-node-lease")
	var first metav1.MicroTime
	m.eventually("lease", patient, func() bool {
		lease, err := leases.Get(t.Context(), m.cfg.Name, metav1.GetOptions{})
		if err != nil {
			return false
		}
		if *lease.Spec.LeaseDurationSeconds != 40 || *lease.Spec.HolderIdentity != m.cfg.Name {
			t.Errorf("the lease is %+v", lease.Spec)
		}
		if len(lease.OwnerReferences) != 1 || lease.OwnerReferences[0].UID != m.get().UID {
			t.Errorf("the lease's owner is %+v", lease.OwnerReferences)
		}
		first = *lease.Spec.RenewTime
		return true
	})
	m.eventually("renewal of the lease", 20*time.Second, func() bool {
		lease, err := leases.Get(t.Context(), m.cfg.Name, metav1.GetOptions{})
		return err == nil && lease.Spec.RenewTime.After(first.Time)
	})
}

func TestComesBackWhenDeleted(t *testing.T) {
	m := newMember(t)
	m.run()
	old := m.get().UID
	m.Kubectl(t, "delete", "node", m.cfg.Name)
	m.eventually("Node again", 5*time.Second, func() bool { node := m.get(); return node != nil && node.UID != old })
	node := m.get()
	if node.Labels["type"] != "krustlet" || len(node.Spec.Taints) < 2 || condition(node, corev1.NodeReady).Status != corev1.ConditionTrue {
		t.Errorf("it came back as %+v", node)
	}
	m.eventually("lease of the new Node", patient, func() bool {
		lease, err := m.Client().CoordinationV1().Leases("kube-node-lease").Get(t.Context(), m.cfg.Name, metav1.GetOptions{})
		return err == nil && len(lease.OwnerReferences) == 1 && lease.OwnerReferences[0].UID == node.UID
	})
}

func TestAdopt(t *testing.T) {
	m := newMember(t)
	before, err := m.Client().CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:   m.cfg.Name,
			Labels: map[string]string{"node-role.kubernetes.io/edge": "", "example.com/team": "b", "example.com/rack": "7"},
		},
		Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "example.com/mine", Effect: corev1.TaintEffectNoSchedule}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.run()
	node := m.get()
	if node.UID != before.UID {
		t.Error("the Node was made again")
	}
	want := maps.Clone(before.Labels)
	maps.Copy(want, allLabels(m.cfg))
	if !maps.Equal(node.Labels, want) {
		t.Errorf("the labels are %v, want %v", node.Labels, want)
	}
	if node.Annotations["volumes.kubernetes.io/controller-managed-attach-detach"] != "true" {
		t.Errorf("the annotations are %v", node.Annotations)
	}
	if condition(node, corev1.NodeReady).Status != corev1.ConditionTrue {
		t.Errorf("the conditions are %v", node.Status.Conditions)
	}
	if slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == "kubernetes.io/arch" }) {
		t.Errorf("NodeRestriction is not in force: %v", node.Spec.Taints)
	}
	warned := m.logs.FilterMessageSnippet("taints").FilterLevelExact(zap.WarnLevel).All()
	if len(warned) != 1 {
		t.Errorf("the log says %v about the taints", warned)
	}
}

func TestAdoptAfterRestart(t *testing.T) {
	m := newMember(t)
	m.run()()
	old := m.get()
	m.cfg.Port, m.cfg.MaxPods = 3001, 18
	m.cfg.Labels["example.com/team"] = "c"
	m.run()
	node := m.get()
	if node.UID != old.UID || node.Labels["example.com/team"] != "c" ||
		node.Status.DaemonEndpoints.KubeletEndpoint.Port != 3001 || node.Status.Capacity.Pods().Value() != 18 {
		t.Errorf("after a restart the Node is %+v", node)
	}
	if warned := m.logs.FilterLevelExact(zap.WarnLevel).All(); len(warned) != 0 {
		t.Errorf("the log warns %v", warned)
	}
}

func TestForeignNodeIsLeftAlone(t *testing.T) {
	m := newMember(t)
	_, err := m.Client().CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.cfg.Name, Labels: map[string]string{"kubernetes.io/arch": "amd64"}},
		Status:     corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{Architecture: "amd64", KubeletVersion: "v1.36.3"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(m.cfg, m.client, nil, m.log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	if err := n.Run(ctx); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), m.cfg.Name) {
		t.Errorf("Run says %v", err)
	}
	if node := m.get(); node.Labels["kubernetes.io/arch"] != "amd64" || node.Labels["type"] != "" || node.Status.NodeInfo.Architecture != "amd64" {
		t.Errorf("the Node was changed: %+v", node)
	}
}

func TestReadinessAndWhatIsNotOurs(t *testing.T) {
	m := newMember(t)
	broadcaster := record.NewBroadcaster()
	t.Cleanup(broadcaster.Shutdown)
	m.events = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: m.cfg.Name})
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: m.client.CoreV1().Events("")})
	var trouble atomic.Pointer[error]
	m.cfg.Ready = func() error {
		if err := trouble.Load(); err != nil {
			return *err
		}
		return nil
	}
	m.run()
	m.eventually("pod CIDR", patient, func() bool { return m.get().Spec.PodCIDR != "" })
	m.patch(corev1.Node{Status: corev1.NodeStatus{
		Capacity: corev1.ResourceList{"example.com/dongle": *corev1ResourceOne()},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse,
			Reason: "RouteCreated", LastTransitionTime: metav1.Now(), LastHeartbeatTime: metav1.Now()}},
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeExternalIP, Address: "127.9.9.9"}},
	}}, "status")

	why := errors.New("the runtime is not up")
	trouble.Store(&why)
	m.eventually("NotReady", patient, func() bool { return condition(m.get(), corev1.NodeReady).Status == corev1.ConditionFalse })
	node := m.get()
	if c := condition(node, corev1.NodeReady); c.Message != "the runtime is not up" || c.Reason != "KubeletNotReady" {
		t.Errorf("the condition is %+v", c)
	}
	trouble.Store(nil)
	m.eventually("Ready", patient, func() bool { return condition(m.get(), corev1.NodeReady).Status == corev1.ConditionTrue })
	node = m.get()
	if dongles := node.Status.Capacity["example.com/dongle"]; dongles.Value() != 1 ||
		condition(node, corev1.NodeNetworkUnavailable).Reason != "RouteCreated" || node.Spec.PodCIDR == "" {
		t.Errorf("what others set is gone: %+v %s", node.Status, node.Spec.PodCIDR)
	}
	if got := node.Status.Addresses; len(got) != 2 || got[0].Address != "127.0.0.1" || got[1].Address != m.cfg.Hostname {
		t.Errorf("the addresses are %v", got)
	}
	for _, want := range []string{"Starting", "NodeReady", "NodeNotReady"} {
		m.eventually("event "+want, patient, func() bool {
			return strings.Contains(m.Kubectl(t, "get", "events", "-A", "--field-selector", "involvedObject.name="+m.cfg.Name, "-o", "wide"), want)
		})
	}
	// kubectl describe finds events by the UID in them.
	if out := m.Kubectl(t, "describe", "node", m.cfg.Name); !strings.Contains(out, "Starting kubelet.") {
		t.Errorf("kubectl describe node does not show the events:\n%s", out)
	}
}

func TestOutage(t *testing.T) {
	m := newMember(t)
	proxy := m.Proxy(t)
	m.client = m.as("https://" + proxy.Addr())
	m.run()
	proxy.Cut()
	m.Kubectl(t, "delete", "node", m.cfg.Name)
	m.eventually("warning in the log", patient, func() bool { return m.logs.FilterLevelExact(zap.WarnLevel).Len() > 0 })
	proxy.Restore()
	m.eventually("Node after the outage", 15*time.Second, func() bool { return m.get() != nil })
}

// TestLabelsAsTheAPIServerSeesThem: ValidateLabels accepts the same labels as the API server
// accepts from a node.
func TestLabelsAsTheAPIServerSeesThem(t *testing.T) {
	m := newMember(t)
	for _, key := range []string{
		"plain", "example.com/x", "notkubernetes.io/x", "mykubernetes.io/x", "kubernetes.io.example.com/x",
		"topology.kubernetes.io/zone", "topology.kubernetes.io/region", "topology.kubernetes.io/other",
		"failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
		"node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type",
		"node.kubernetes.io/x", "kubelet.kubernetes.io/x", "a.node.kubernetes.io/x", "a.kubelet.kubernetes.io/x", "anode.kubernetes.io/x",
		"node-role.kubernetes.io/worker", "node-restriction.kubernetes.io/x", "a.node-restriction.kubernetes.io/x",
		"kubernetes.io/x", "kubernetes.io/role", "x.kubernetes.io/x", "k8s.io/x", "x.k8s.io/x", "beta.kubernetes.io/x",
	} {
		node := newNode(m.cfg)
		node.Labels[key] = "x"
		_, err := m.client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && !apierrors.IsForbidden(err) {
			t.Fatal(err)
		}
		if ours := ValidateLabels(map[string]string{key: "x"}); (ours == nil) != (err == nil) {
			t.Errorf("%s: ValidateLabels says %v, the API server %v", key, ours, err)
		}
	}
}
