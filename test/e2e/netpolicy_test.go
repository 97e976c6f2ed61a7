package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// network is a node whose pods have addresses that the API server takes as endpoints, in a network
// of its own, with the rights of hack/rbac. It has a pod that serves and one that connects.
type network struct {
	*suite
	namespace, server, client string // the last two are pods
	address                   string // of the server
	hostPort                  int32
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.cluster.Kubectl(t, "apply", "-f", "../../hack/rbac/network.yaml")
	s.kitchen = s.images.PushGuest(t, "kitchen")
	s.node = testnode.New(t, s.cluster, "")
	s.node.Compiled(t, "kitchen", "serve")
	const cidr = "198.18.77.0/24"
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.node.Name}, Spec: corev1.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}}}
	if _, err := s.client().CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.node.Join(t)
	n := &network{suite: s, namespace: s.cluster.Namespace(t), server: "server", client: "client", hostPort: freePort()}
	pod := s.served(t, n.server, 8080)
	pod.Labels = map[string]string{"app": "web"}
	pod.Spec.Containers[0].Ports[0].HostPort = n.hostPort
	s.create(t, n.namespace, pod)
	pod = s.pod(n.client, s.kitchen, "sleep")
	pod.Labels = map[string]string{"app": "client"}
	pod.Annotations = map[string]string{"krustlet-wasi.dev/egress": "cluster"}
	s.create(t, n.namespace, pod)
	n.address = s.await(t, n.namespace, n.server, ready(true)).Status.PodIP
	s.await(t, n.namespace, n.client, ready(true))
	return n
}

// dials has a pod send a request to an address, and returns what its guest says.
func (n *network) dials(t *testing.T, pod, address string) (said string, err error) {
	t.Helper()
	cmd, out := n.kubectl(t, "exec", "-n", n.namespace, pod, "--", "dial", "tcp", address, "GET /x HTTP/1.0\r\n\r\n")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err = cmd.Run()
	return out.String() + stderr.String(), err
}

// reaches waits until a pod reaches the server at an address.
func (n *network) reaches(t *testing.T, pod, address string) {
	t.Helper()
	testnode.Eventually(t, func() error {
		if said, err := n.dials(t, pod, address); err != nil || !strings.Contains(said, "/x from descriptor") {
			return fmt.Errorf("%s does not reach %s: %w: %s", pod, address, err, said)
		}
		return nil
	})
}

// isRefused waits until a pod may not connect to an address.
func (n *network) isRefused(t *testing.T, pod, address string) {
	t.Helper()
	testnode.Eventually(t, func() error {
		said, err := n.dials(t, pod, address)
		if err == nil || !strings.Contains(strings.ToLower(said), "permission denied") {
			return fmt.Errorf("%s is not refused: %w: %s", address, err, said)
		}
		return nil
	})
}

func (n *network) apply(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.cluster.Kubectl(t, "apply", "-n", n.namespace, "-f", file)
}

const policyHead = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\nspec:\n  podSelector: {matchLabels: {app: web}}\n  policyTypes: [Ingress]\n"

// TestNetworkPolicies: real guests under policies that are applied, changed and deleted; a Service;
// a port of the node; and lists of egress.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	if !ownnetwork.Enter(t) { // the API server takes no endpoints in 127.0.0.0/8
		return
	}
	n := newNetwork(t)
	at := net.JoinHostPort(n.address, "8080")
	n.reaches(t, n.client, at)

	service, err := n.suite.client().CoreV1().Services(n.namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("web")}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	led := net.JoinHostPort(service.Spec.ClusterIP, "80")
	n.reaches(t, n.client, led)

	n.apply(t, policyHead)
	n.isRefused(t, n.client, at)
	n.isRefused(t, n.client, led)
	n.awaitEvents(t, n.pod(t, n.client), "NetworkDenied")
	outside := netip.AddrFrom4([4]byte{127, 99, 1, 7})
	if err := n.visitFrom(outside); err == nil {
		t.Error("the node's port leads a client to the pod whom its policy does not allow")
	}

	n.apply(t, policyHead+"  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}, {ipBlock: {cidr: 127.99.0.0/16}}], ports: [{port: web}]}]\n")
	n.reaches(t, n.client, at)
	n.reaches(t, n.client, led)
	testnode.Eventually(t, func() error { return n.visitFrom(outside) })

	stranger := n.suite.pod("stranger", n.kitchen, "sleep")
	stranger.Annotations = map[string]string{"krustlet-wasi.dev/egress": "cluster"}
	n.create(t, n.namespace, stranger)
	n.await(t, n.namespace, stranger.Name, ready(true))
	n.isRefused(t, stranger.Name, at)
	n.cluster.Kubectl(t, "label", "pod", "-n", n.namespace, stranger.Name, "app=client")
	n.reaches(t, stranger.Name, at)

	n.apply(t, policyHead)
	n.isRefused(t, n.client, at)
	n.node.Kill(t) // guests go on, and so do their rules
	n.node.Start(t)
	n.node.WaitReady(t)
	n.isRefused(t, n.client, at)
	n.cluster.Kubectl(t, "delete", "networkpolicy", "-n", n.namespace, "web")
	n.reaches(t, n.client, at)

	quiet := n.suite.pod("quiet", n.kitchen, "sleep")
	quiet = n.create(t, n.namespace, quiet)
	n.await(t, n.namespace, quiet.Name, ready(true))
	n.isRefused(t, quiet.Name, at)
	n.awaitEvents(t, quiet, "NetworkDenied")
}

func (n *network) pod(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	pod, err := n.get(n.namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// visitFrom sends a request from an address to the port of the node that leads to the server.
func (n *network) visitFrom(from netip.Addr) error {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: 5 * time.Second}
	conn, err := dialer.Dial("tcp", hostPort(n.node.IP, n.hostPort))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("GET /x HTTP/1.0\r\n\r\n")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// The Node says whether it enforces policies.
func TestNodeTellsOfItsNetwork(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	testnode.Eventually(t, func() error {
		node, err := s.client().CoreV1().Nodes().Get(t.Context(), s.node.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == "krustlet-wasi.dev/NetworkPolicies" && c.Status != corev1.ConditionUnknown {
				return nil
			}
		}
		return fmt.Errorf("the conditions are %+v", node.Status.Conditions)
	})
}
