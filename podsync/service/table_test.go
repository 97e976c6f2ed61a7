package service

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

var addresses = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

func web(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.96.0.7", ClusterIPs: []string{"10.96.0.7"},
			Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
		},
	}
	if change != nil {
		change(s)
	}
	return s
}

func slice(name string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](8080), Protocol: ptr.To(corev1.ProtocolTCP)}},
		Endpoints:   endpoints,
	}
}

// at is an endpoint. words say what it is: unready, terminating, serving, local, node=N, zone=Z.
func at(address string, words ...string) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}
	for _, w := range words {
		var name string
		switch {
		case w == "unready":
			e.Conditions.Ready, e.Conditions.Serving = ptr.To(false), ptr.To(false)
		case w == "terminating":
			e.Conditions.Ready, e.Conditions.Terminating = ptr.To(false), ptr.To(true)
		case w == "serving":
			e.Conditions.Serving = ptr.To(true)
		case w == "local":
			e.NodeName = ptr.To("me")
		case scan(w, "node=%s", &name):
			e.Hints = orNew(e.Hints)
			e.Hints.ForNodes = append(e.Hints.ForNodes, discoveryv1.ForNode{Name: name})
		case scan(w, "zone=%s", &name):
			e.Hints = orNew(e.Hints)
			e.Hints.ForZones = append(e.Hints.ForZones, discoveryv1.ForZone{Name: name})
		default:
			panic(w)
		}
	}
	return e
}

func scan(text, format string, into *string) bool {
	n, _ := fmt.Sscanf(text, format, into)
	return n == 1
}

func orNew(h *discoveryv1.EndpointHints) *discoveryv1.EndpointHints {
	if h == nil {
		return &discoveryv1.EndpointHints{}
	}
	return h
}

// TestChoice: which endpoints guests are sent to, as kube-proxy on the same node would send them.
func TestChoice(t *testing.T) {
	local := func(s *corev1.Service) {
		s.Spec.InternalTrafficPolicy = ptr.To(corev1.ServiceInternalTrafficPolicyLocal)
	}
	for name, tt := range map[string]struct {
		change    func(*corev1.Service)
		endpoints []discoveryv1.Endpoint
		want      []string
	}{
		"ready":                         {nil, []discoveryv1.Endpoint{at("10.0.0.2"), at("10.0.0.1"), at("10.0.0.3", "unready")}, []string{"10.0.0.1", "10.0.0.2"}},
		"unknown is ready":              {nil, []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}, []string{"10.0.0.1"}},
		"none":                          {nil, nil, nil},
		"no ready one":                  {nil, []discoveryv1.Endpoint{at("10.0.0.1", "unready")}, nil},
		"terminating beside ready":      {nil, []discoveryv1.Endpoint{at("10.0.0.1"), at("10.0.0.2", "terminating", "serving")}, []string{"10.0.0.1"}},
		"only terminating":              {nil, []discoveryv1.Endpoint{at("10.0.0.1", "unready"), at("10.0.0.2", "terminating", "serving"), at("10.0.0.3", "terminating")}, []string{"10.0.0.2"}},
		"local":                         {local, []discoveryv1.Endpoint{at("10.0.0.1"), at("10.0.0.2", "local")}, []string{"10.0.0.2"}},
		"local terminating":             {local, []discoveryv1.Endpoint{at("10.0.0.1"), at("10.0.0.2", "terminating", "serving", "local")}, []string{"10.0.0.2"}},
		"local, but none":               {local, []discoveryv1.Endpoint{at("10.0.0.1")}, nil},
		"local knows no hints":          {local, []discoveryv1.Endpoint{at("10.0.0.1", "local", "zone=z2"), at("10.0.0.2", "zone=z1")}, []string{"10.0.0.1"}},
		"zone":                          {nil, []discoveryv1.Endpoint{at("10.0.0.1", "zone=z1"), at("10.0.0.2", "zone=z2"), at("10.0.0.3", "zone=z2", "zone=z1")}, []string{"10.0.0.1", "10.0.0.3"}},
		"not all have a zone":           {nil, []discoveryv1.Endpoint{at("10.0.0.1", "zone=z1"), at("10.0.0.2")}, []string{"10.0.0.1", "10.0.0.2"}},
		"none for the zone":             {nil, []discoveryv1.Endpoint{at("10.0.0.1", "zone=z3"), at("10.0.0.2", "zone=z2")}, []string{"10.0.0.1", "10.0.0.2"}},
		"an unready one without a zone": {nil, []discoveryv1.Endpoint{at("10.0.0.1", "zone=z1"), at("10.0.0.2", "zone=z2"), at("10.0.0.3", "unready")}, []string{"10.0.0.1"}},
		"node before zone":              {nil, []discoveryv1.Endpoint{at("10.0.0.1", "zone=z1", "node=me"), at("10.0.0.2", "zone=z1", "node=you")}, []string{"10.0.0.1"}},
		"none for the node":             {nil, []discoveryv1.Endpoint{at("10.0.0.1", "zone=z1", "node=her"), at("10.0.0.2", "zone=z2", "node=you")}, []string{"10.0.0.1"}},
		"names are no addresses":        {nil, []discoveryv1.Endpoint{at("other.example"), at("10.0.0.1")}, []string{"10.0.0.1"}},
		"another family":                {nil, []discoveryv1.Endpoint{at("fd00::1"), at("10.0.0.1")}, []string{"10.0.0.1"}},
		"of another proxy": {func(s *corev1.Service) { s.Labels = map[string]string{proxyName: "mine"} },
			[]discoveryv1.Endpoint{at("10.0.0.1")}, []string{"gone"}},
		"headless": {func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"} },
			[]discoveryv1.Endpoint{at("10.0.0.1")}, []string{"gone"}},
		"another name": {func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, "a.example"
		},
			[]discoveryv1.Endpoint{at("10.0.0.1")}, []string{"gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			table := NewTable("me")
			table.SetZone("z1")
			table.SetService(web(tt.change))
			table.SetSlice(nil, slice("a", tt.endpoints...))
			table.SetSlice(nil, slice("b", tt.endpoints...)) // an endpoint may be in two
			var want []runtime.Service
			if !slices.Equal(tt.want, []string{"gone"}) {
				port := runtime.ServicePort{Port: runtime.Port{Number: 80}}
				for _, a := range tt.want {
					port.Endpoints = append(port.Endpoints, netip.AddrPortFrom(netip.MustParseAddr(a), 8080))
				}
				want = []runtime.Service{{Name: "ns/web", Addresses: []netip.Addr{netip.MustParseAddr("10.96.0.7")}, Ports: []runtime.ServicePort{port}}}
			}
			if diff := cmp.Diff(want, table.Take(), addresses, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Only what has changed is taken, and what is gone has no ports.
func TestChanges(t *testing.T) {
	table := NewTable("me")
	table.SetService(web(nil))
	old := slice("a", at("10.0.0.1"))
	table.SetSlice(nil, old)
	if n := len(table.Take()); n != 1 {
		t.Fatalf("%d changes", n)
	}
	table.SetService(web(func(s *corev1.Service) { s.Annotations = map[string]string{"a": "b"} }))
	if changed := table.Take(); len(changed) > 0 {
		t.Errorf("nothing has changed, but %+v", changed)
	}
	moved := slice("a", at("10.0.0.1"))
	moved.Labels[discoveryv1.LabelServiceName] = "other"
	table.SetSlice(old, moved)
	if changed := table.Take(); len(changed) != 1 || len(changed[0].Ports) != 1 || len(changed[0].Ports[0].Endpoints) > 0 {
		t.Errorf("the slice is another Service's now: %+v", changed)
	}
	table.DeleteService(web(nil))
	want := []runtime.Service{{Name: "ns/web"}}
	if diff := cmp.Diff(want, table.Take(), addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if all := table.All(); len(all) > 0 {
		t.Errorf("%+v", all)
	}
}

// An address of one family leads to endpoints of that family, and the session affinity is the
// Service's.
func TestFamiliesAndAffinity(t *testing.T) {
	table := NewTable("me")
	table.SetService(web(func(s *corev1.Service) {
		s.Spec.ClusterIPs = []string{"10.96.0.7", "fd96::7"}
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53},
			corev1.ServicePort{Name: "sctp", Protocol: corev1.ProtocolSCTP, Port: 9})
	}))
	dns := func(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: ptr.To("dns"), Port: ptr.To[int32](5353), Protocol: ptr.To(corev1.ProtocolUDP)})
		return s
	}
	table.SetSlice(nil, dns(slice("four", at("10.0.0.1"))))
	table.SetSlice(nil, dns(slice("six", at("fd00::1"))))
	of := func(name, address, end string) runtime.Service {
		at := func(n uint16) []netip.AddrPort {
			return []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(end), n)}
		}
		return runtime.Service{Name: name, Addresses: []netip.Addr{netip.MustParseAddr(address)}, Affinity: 3 * time.Hour, Ports: []runtime.ServicePort{
			{Port: runtime.Port{Number: 80}, Endpoints: at(8080)}, {Port: runtime.Port{Protocol: runtime.UDP, Number: 53}, Endpoints: at(5353)},
		}}
	}
	want := []runtime.Service{of("ns/web", "10.96.0.7", "10.0.0.1"), of("ns/web (second family)", "fd96::7", "fd00::1")}
	if diff := cmp.Diff(want, table.Take(), addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	table.SetService(web(func(s *corev1.Service) {
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To[int32](7)}}
	}))
	changed := table.Take()
	if len(changed) != 2 || changed[0].Affinity != 7*time.Second || len(changed[1].Ports) > 0 {
		t.Errorf("with one family and another time: %+v", changed)
	}
}
