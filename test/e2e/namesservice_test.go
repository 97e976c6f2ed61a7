package e2e

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestNamesByService: the cluster's name server is the address of a Service, which only the node's
// own table of Services leads to a server. A guest finds names by it, also one that may not connect
// to the server.
func TestNamesByService(t *testing.T) {
	t.Parallel()
	if !ownnetwork.Enter(t) { // the API server takes no endpoints in 127.0.0.0/8
		return
	}
	server := netip.MustParseAddrPort("198.18.79.53:5353")
	addAddress(t, server.Addr())
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.cluster.Kubectl(t, "apply", "-f", "../../hack/rbac/network.yaml")
	s.cluster.StartCoreDNSAt(t, server, "192.0.2.80 outside.test")
	dns := s.serviceOf(t, "kube-system", "dns", server)
	s.node = testnode.New(t, s.cluster, "")
	s.node.Args = append(s.node.Args, "--cluster-dns="+dns)
	const cidr = "198.18.78.0/24"
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.node.Name}, Spec: corev1.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}}}
	if _, err := s.client().CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.node.Join(t)
	pod := s.pod("finds", s.images.Push(t, "lookup:v1", component(t, "lookup-0.2")), "outside.test")
	pod.Annotations = map[string]string{"krustlet-wasi.dev/egress": "outside.test:443"}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	ns := s.cluster.Namespace(t)
	s.create(t, ns, pod)
	if log := s.finalLog(t, ns, pod.Name, corev1.PodSucceeded); log != "outside.test 192.0.2.80\n" {
		t.Errorf("the guest found\n%s", log)
	}
}

// addAddress gives the machine an address, in a network of the test's own.
func addAddress(t *testing.T, a netip.Addr) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	address, err := netlink.ParseAddr(a.String() + "/32")
	if err == nil {
		err = netlink.AddrAdd(lo, address)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// serviceOf makes a Service with port 53 whose only endpoint is a server, until the test ends. It
// returns the Service's address.
func (s *suite) serviceOf(t *testing.T, ns, name string, server netip.AddrPort) string {
	t.Helper()
	var ports []corev1.ServicePort
	var targets []discoveryv1.EndpointPort
	for _, p := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		port := "dns-" + map[corev1.Protocol]string{corev1.ProtocolUDP: "udp", corev1.ProtocolTCP: "tcp"}[p]
		ports = append(ports, corev1.ServicePort{Name: port, Protocol: p, Port: 53, TargetPort: intstr.FromInt32(int32(server.Port()))})
		targets = append(targets, discoveryv1.EndpointPort{Name: &port, Protocol: &p, Port: ptr(int32(server.Port()))})
	}
	service, err := s.client().CoreV1().Services(ns).Create(t.Context(),
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: ports}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: targets,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{server.Addr().String()}}},
	}
	if _, err := s.client().DiscoveryV1().EndpointSlices(ns).Create(t.Context(), slice, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cluster.Kubectl(t, "delete", "service,endpointslice", "-n", ns, name) })
	return service.Spec.ClusterIP
}
