package podspec

import (
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// TestSockets: a pod gets listening sockets for its TCP ports. At the node's address it gets them
// only if it asks for them or is in the host's network, where a port may name another address.
// docs/security.md: "guests are handed listening sockets on [their pod's address](networking.md) and
// the ports that its spec names"
func TestSockets(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	c := &pod.Spec.Containers[0]
	c.Ports = []corev1.ContainerPort{
		{ContainerPort: 80, HostIP: "0.0.0.0"}, {ContainerPort: 53, Protocol: corev1.ProtocolUDP},
		{ContainerPort: 8080, HostIP: "127.0.0.8", Protocol: corev1.ProtocolTCP},
	}
	nodes := Addresses{Known: true}
	two := Addresses{Known: true, Own: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}}
	onNode := []string{"127.0.0.9:80", "127.0.0.9:8080"}
	onHost := []string{"127.0.0.9:80", "127.0.0.8:8080"}
	own := []string{"10.0.0.1:80", "10.0.0.1:8080", "[fd00::1]:80", "[fd00::1]:8080"}
	for _, tt := range []struct {
		annotation string
		host       bool
		place      Addresses
		want       []string
	}{
		{"", false, nodes, nil}, {"true", false, nodes, onNode}, {"false", false, nodes, nil},
		{"", false, two, own}, {"true", false, two, own}, {"false", false, two, nil}, {"?", false, two, own},
		{"", true, nodes, onHost}, {"true", true, nodes, onHost}, {"false", true, nodes, nil},
	} {
		pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": tt.annotation}
		pod.Spec.HostNetwork = tt.host
		if got := Sockets(pod, c, ReachOf(pod, tt.place, testpod.NodeAddress)); !slices.Equal(got, tt.want) {
			t.Errorf("annotation %q, host network %v, own addresses %v: %v, want %v", tt.annotation, tt.host, tt.place.Own, got, tt.want)
		}
	}
}

func TestOffers(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
	pod.Spec.Containers[1].Ports = []corev1.ContainerPort{{ContainerPort: 80}, {ContainerPort: 8080, Protocol: corev1.ProtocolUDP}}
	exposed := []uint16{80, 8080}
	own := Addresses{Known: true, Own: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}}
	want := []string{"10.0.0.1:8080", "[fd00::1]:8080"} // container b has the other port
	if got := Offers(pod, exposed, ReachOf(pod, own, testpod.NodeAddress)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Offers(pod, exposed, ReachOf(pod, Addresses{Known: true}, testpod.NodeAddress)); got != nil {
		t.Errorf("with the node's address: %v", got)
	}
	if got := Offers(pod, nil, ReachOf(pod, own, testpod.NodeAddress)); got != nil {
		t.Errorf("of an image that is one module: %v", got)
	}
	pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": "false"}
	if got := Offers(pod, exposed, ReachOf(pod, own, testpod.NodeAddress)); got != nil {
		t.Errorf("of a pod that does not want any: %v", got)
	}
}
