package podspec

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestHTTPSockets(t *testing.T) {
	port := func(name string, n int32) corev1.ContainerPort {
		return corev1.ContainerPort{Name: name, ContainerPort: n}
	}
	udp := corev1.ContainerPort{Name: "http", ContainerPort: 53, Protocol: corev1.ProtocolUDP}
	own := Addresses{Known: true, Own: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	two := Addresses{Known: true, Own: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}}
	nodes := Addresses{Known: true}
	for name, tt := range map[string]struct {
		ports      []corev1.ContainerPort // of the container
		others     []corev1.ContainerPort // of another container
		exposed    []uint16
		at         Addresses
		host       bool
		annotation string
		tls        bool
		plain, enc string // addresses with spaces between
	}{
		"the named one":            {ports: []corev1.ContainerPort{port("metrics", 9090), port("http", 8080)}, exposed: []uint16{7000}, at: own, plain: "10.0.0.1:8080"},
		"all":                      {ports: []corev1.ContainerPort{port("web", 8080), port("", 9090), port("https", 8443), udp}, at: own, plain: "10.0.0.1:8080 10.0.0.1:9090 10.0.0.1:8443"},
		"exposed":                  {ports: []corev1.ContainerPort{udp}, exposed: []uint16{7000, 7001}, others: []corev1.ContainerPort{port("", 7001)}, at: own, plain: "10.0.0.1:7000"},
		"the default":              {at: own, plain: "10.0.0.1:80"},
		"all exposed are others'":  {exposed: []uint16{7001}, others: []corev1.ContainerPort{port("", 7001)}, at: own, plain: "10.0.0.1:80"},
		"the default is another's": {others: []corev1.ContainerPort{port("http", 80)}, at: own},
		"two addresses":            {ports: []corev1.ContainerPort{port("http", 8080)}, at: two, plain: "10.0.0.1:8080 [fd00::1]:8080"},

		"node's address":             {ports: []corev1.ContainerPort{port("http", 8080)}, at: nodes},
		"node's address, wanted":     {ports: []corev1.ContainerPort{port("http", 8080)}, at: nodes, annotation: "true", plain: "127.0.0.9:8080"},
		"node's address, no port":    {exposed: []uint16{7000}, at: nodes, annotation: "true"},
		"not wanted":                 {ports: []corev1.ContainerPort{port("http", 8080)}, exposed: []uint16{7000}, at: own, annotation: "false"},
		"host's network":             {ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, HostIP: "127.0.0.8"}, port("x", 1)}, at: nodes, host: true, plain: "127.0.0.8:8080"},
		"host's network, all":        {ports: []corev1.ContainerPort{port("web", 8080)}, at: nodes, host: true, plain: "127.0.0.9:8080"},
		"host's network, no port":    {exposed: []uint16{7000}, at: nodes, host: true},
		"host's network, not wanted": {ports: []corev1.ContainerPort{port("http", 8080)}, at: nodes, host: true, annotation: "false"},

		"TLS":                   {ports: []corev1.ContainerPort{port("http", 8080), port("x", 1)}, at: own, tls: true, enc: "10.0.0.1:8080"},
		"TLS at all":            {ports: []corev1.ContainerPort{port("web", 8080), port("x", 1)}, at: own, tls: true, enc: "10.0.0.1:8080 10.0.0.1:1"},
		"TLS and plain":         {ports: []corev1.ContainerPort{port("http", 8080), port("https", 8443), port("x", 1)}, at: own, tls: true, plain: "10.0.0.1:8080", enc: "10.0.0.1:8443"},
		"TLS at https only":     {ports: []corev1.ContainerPort{port("https", 8443), port("metrics", 1)}, at: own, tls: true, enc: "10.0.0.1:8443"},
		"TLS at exposed":        {exposed: []uint16{7000}, at: own, tls: true, enc: "10.0.0.1:7000"},
		"TLS at the default":    {at: own, tls: true, enc: "10.0.0.1:80"},
		"TLS in host's network": {ports: []corev1.ContainerPort{port("https", 8443)}, at: nodes, host: true, tls: true, enc: "127.0.0.9:8443"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
			c := &pod.Spec.Containers[1]
			c.Ports, pod.Spec.Containers[0].Ports, pod.Spec.HostNetwork = tt.ports, tt.others, tt.host
			if KindOf(pod, pod.Spec.Containers[0].Name) != App {
				t.Fatal("the pod has no second container")
			}
			if tt.annotation != "" {
				pod.Annotations = map[string]string{"krustlet-wasi.dev/listen": tt.annotation}
			}
			plain, enc := HTTPSockets(pod, c, tt.exposed, ReachOf(pod, tt.at, testpod.NodeAddress), tt.tls)
			if !slices.Equal(plain, strings.Fields(tt.plain)) || !slices.Equal(enc, strings.Fields(tt.enc)) {
				t.Errorf("plain %q, with TLS %q; want %q and %q", plain, enc, tt.plain, tt.enc)
			}
		})
	}
}
