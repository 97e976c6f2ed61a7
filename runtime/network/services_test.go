package network

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func service(name, address string, port uint16, endpoints ...string) runtime.Service {
	p := runtime.ServicePort{Port: runtime.Port{Number: port}}
	for _, e := range endpoints {
		p.Endpoints = append(p.Endpoints, at(e))
	}
	return runtime.Service{Name: name, Addresses: []netip.Addr{ip(address)}, Ports: []runtime.ServicePort{p}}
}

func ofServices(list ...runtime.Service) runtime.NetworkUpdate {
	return runtime.NetworkUpdate{Services: list}
}

// docs/security.md: "and by every Service but the API server's."
// TestServices: a connection to a Service goes to one of its endpoints, if the lists allow the
// Service, and the ceilings the endpoint.
func TestServices(t *testing.T) {
	c := newCluster(t, known(), ofServices(
		service("ns/web", "10.96.0.10", 80, "10.244.9.9:8080", "10.244.9.10:8080"),
		service("ns/empty", "10.96.0.20", 80),
		service("ns/outside", "10.96.0.30", 80, "8.8.8.8:53"),
		service("ns/node", "10.96.0.40", 80, "192.0.2.10:10250"),
		service("ns/metadata", "10.96.0.50", 80, "169.254.169.254:80"),
		service("ns/itself", "10.96.0.60", 80, "10.244.3.5:8080"),
		service("default/kubernetes", "10.96.0.1", 443, "192.0.2.10:6443"),
	), runtime.NetworkUpdate{Sets: []runtime.AddressSet{{
		Name: runtime.ClusterSet, Add: prefixes("10.244.9.10", "10.96.0.30", "10.96.0.40", "10.96.0.50", "10.96.0.60"),
	}}})
	n := newNetwork(t, c, "uid", ofPod("cluster", "*"))
	seen := map[netip.AddrPort]int{}
	for range 100 {
		route, err := n.Connect(runtime.TCP, at("10.96.0.10:80"))
		if err != nil || route.From != ip("10.244.3.5") {
			t.Fatalf("%+v, %v", route, err)
		}
		seen[route.To]++
	}
	if len(seen) != 2 || seen[at("10.244.9.9:8080")] < 20 || seen[at("10.244.9.10:8080")] < 20 {
		t.Errorf("the connections went to %v", seen)
	}
	for to, want := range map[string]error{
		"10.96.0.20:80": wasi.ErrConnectionRefused, // no endpoint
		"10.96.0.10:81": wasi.ErrConnectionRefused, // no such port
		"10.96.0.30:80": nil,
		"10.96.0.40:80": wasi.ErrAccess,
		"10.96.0.50:80": wasi.ErrAccess,
		"10.96.0.60:80": nil,
		"10.96.0.1:443": nil, // the API server may be at the node
		"8.8.8.8:53":    wasi.ErrAccess,
	} {
		_, err := n.Connect(runtime.TCP, at(to))
		wants(t, to, err, want)
	}
	_, err := n.Connect(runtime.UDP, at("10.96.0.10:80"))
	wants(t, "another protocol", err, wasi.ErrConnectionRefused)
	// A narrow ceiling holds for the endpoints, too.
	n = newNetwork(t, c, "uid", ofPod("*", "cluster"))
	for to, want := range map[string]error{"10.96.0.10:80": nil, "10.96.0.30:80": wasi.ErrAccess, "10.96.0.1:443": nil} {
		_, err := n.Connect(runtime.TCP, at(to))
		wants(t, to+" within a narrow ceiling", err, want)
	}
	// Without a permission, a guest does not learn what the Service has.
	n = newNetwork(t, c, "uid", ofPod("", "*"))
	_, err = n.Connect(runtime.TCP, at("10.96.0.20:80"))
	wants(t, "a Service that is not allowed", err, wasi.ErrAccess)
}

// TestServicesChange: updates of Services hold for the next connection, in any order.
func TestServicesChange(t *testing.T) {
	c := newCluster(t, known(), ofServices(service("ns/a", "10.96.0.10", 80, "10.244.9.9:1")))
	n := newNetwork(t, c, "uid", ofPod("10.96.0.0/16 10.244.0.0/16", "*"))
	leads := func(want string) {
		t.Helper()
		route, err := n.Connect(runtime.TCP, at("10.96.0.10:80"))
		if want == "" {
			wants(t, "no endpoint", err, wasi.ErrConnectionRefused)
		} else if err != nil || route.To != at(want) {
			t.Errorf("it leads to %s, %v; want %s", route.To, err, want)
		}
	}
	leads("10.244.9.9:1")
	c.Apply(ofServices(service("ns/a", "10.96.0.10", 80, "10.244.9.9:2")))
	leads("10.244.9.9:2")
	c.Apply(ofServices(service("ns/b", "10.96.0.10", 80, "10.244.9.9:3"))) // the address has gone to another Service
	leads("10.244.9.9:3")
	c.Apply(ofServices(runtime.Service{Name: "ns/a", Addresses: []netip.Addr{ip("10.96.0.10")}}))
	leads("10.244.9.9:3")
	c.Apply(ofServices(service("ns/a", "10.96.0.10", 80, "10.244.9.9:4")))
	c.Apply(ofServices(runtime.Service{Name: "ns/a"}))
	leads("10.244.9.9:3")
	c.Apply(ofServices(service("ns/b", "10.96.0.10", 80)))
	leads("")
	c.Apply(ofServices(runtime.Service{Name: "ns/b"}))
	leads("10.96.0.10:80") // nothing is known of it
	update := known()
	update.Services = []runtime.Service{service("ns/c", "10.96.0.10", 80, "10.244.9.9:5")}
	c.Apply(update)
	leads("10.244.9.9:5")
	if n := c.services.endpoints; n != 1 || len(c.services.addresses) != 1 {
		t.Errorf("%d endpoints and %d addresses are counted", n, len(c.services.addresses))
	}
}

// TestAffinity: the connections of a pod go to one endpoint, as long as it is there and they do not
// pause for too long.
func TestAffinity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endpoints := []string{"10.244.9.9:1", "10.244.9.9:2", "10.244.9.9:3", "10.244.9.9:4", "10.244.9.9:5"}
		s := service("ns/a", "10.96.0.10", 80, endpoints...)
		s.Affinity = time.Hour
		c := newCluster(t, known(), ofServices(s))
		one, two := newNetwork(t, c, "uid", ofPod("cluster", "*")), newNetwork(t, c, "uid", ofPod("cluster", "*"))
		leads := func(n *Network) netip.AddrPort {
			t.Helper()
			route, err := n.Connect(runtime.TCP, at("10.96.0.10:80"))
			if err != nil {
				t.Fatal(err)
			}
			return route.To
		}
		first := leads(one)
		for range 20 {
			time.Sleep(time.Hour - time.Second)
			if got := leads(one); got != first || leads(two) != first {
				t.Fatalf("it leads to %s after %s", got, first)
			}
		}
		seen := map[netip.AddrPort]bool{}
		for range 100 {
			time.Sleep(time.Hour + time.Second)
			seen[leads(one)] = true
		}
		if len(seen) < 2 {
			t.Error("it leads to one endpoint for ever")
		}
		last := leads(one)
		s.Ports[0].Endpoints = nil
		for _, e := range endpoints {
			if at(e) != last {
				s.Ports[0].Endpoints = append(s.Ports[0].Endpoints, at(e))
			}
		}
		c.Apply(ofServices(s))
		if leads(one) == last {
			t.Error("it leads to an endpoint that is gone")
		}
	})
}

// TestManyAffinities: what is remembered for a pod is bounded.
func TestManyAffinities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := affinities{}
		p := &servicePort{affinity: time.Hour, endpoints: []netip.AddrPort{at("10.0.0.1:1")}}
		for port := range uint16(3 * maxAffine) {
			as.choose(target{at: netip.AddrPortFrom(ip("10.96.0.1"), port)}, p, time.Now())
			time.Sleep(time.Second)
		}
		if len(as) > maxAffine {
			t.Errorf("%d endpoints are remembered", len(as))
		}
		if _, ok := as[target{at: netip.AddrPortFrom(ip("10.96.0.1"), 3*maxAffine-1)}]; !ok {
			t.Error("the last one is forgotten")
		}
	})
}

// TestTooManyEndpoints: a Service that exceeds the bounds is not reached, and told.
func TestTooManyEndpoints(t *testing.T) {
	s := newServices()
	s.endpoints = maxEndpoints - 1
	if err := s.apply(service("ns/a", "10.96.0.10", 80, "10.0.0.1:1", "10.0.0.1:2")); err == nil {
		t.Error("it has no error")
	}
	if err := s.apply(service("ns/a", "10.96.0.10", 80, "10.0.0.1:1")); err != nil {
		t.Error(err)
	}
	if s.endpoints != maxEndpoints {
		t.Errorf("%d endpoints are counted", s.endpoints)
	}
}

func manyServices(n int) (list []runtime.Service) {
	for i := range n {
		list = append(list, service(fmt.Sprintf("ns/s%d", i), fmt.Sprintf("10.%d.%d.%d", 96+i>>16, i>>8&255, i&255), 80,
			fmt.Sprintf("10.244.%d.%d:8080", i>>8&255, i&255)))
	}
	return list
}
