package network

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// docs/security.md: "A connection that a NetworkPolicy forbids from now on is cut within 200 ms."
// TestCut: connections that rules forbid from now on are cut within 200 ms, and no others.
func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, known())
		n := newNetwork(t, c, "uid", ofPod("*", "*"))
		other := newNetwork(t, c, "other", ofPod("*", "*"))
		var cut sync.Map
		watch := func(n *Network, what, remote string, outgoing bool) func() {
			return n.Watch(runtime.TCP, at("10.244.3.5:8080"), at(remote), outgoing, func() {
				if _, twice := cut.LoadOrStore(what, true); twice {
					t.Errorf("%s is cut twice", what)
				}
			})
		}
		watch(n, "to a", "10.0.0.1:80", true)
		watch(n, "to a, another port", "10.0.0.1:443", true)
		watch(n, "to b", "10.0.0.2:80", true)
		watch(n, "to itself", "10.244.3.5:80", true)
		watch(n, "from a", "10.0.0.1:4321", false)
		watch(n, "from b", "10.0.0.2:4321", false)
		watch(n, "from the node", "192.0.2.10:4321", false)
		watch(n, "from itself", "10.244.3.5:4321", false)
		watch(n, "to a later node", "192.0.2.11:80", true)
		watch(other, "another pod's", "10.0.0.2:80", true)
		stop := watch(n, "ended", "10.0.0.2:81", true)
		expect := func(when string, want ...string) {
			t.Helper()
			began := time.Now()
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			var got []string
			cut.Range(func(k, _ any) bool { got = append(got, k.(string)); return true })
			cut.Clear()
			slices.Sort(got)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("%s: cut are %q after %v; want %q", when, got, time.Since(began), want)
			}
		}
		expect("at first")
		stop()
		list := runtime.Rule{Sets: []string{"a"}, Ports: []runtime.PortRange{tcp(80, 80), tcp(8080, 8080)}}
		rules := &runtime.Rules{List: []runtime.Rule{list}}
		c.Apply(runtime.NetworkUpdate{
			Sets: []runtime.AddressSet{{Name: "a", Add: prefixes("10.0.0.1")}},
			Pods: []runtime.PodRules{{Pod: "uid", Ingress: rules, Egress: rules}},
		})
		expect("with policies", "to a, another port", "to b", "from b", "to a later node")
		c.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: "a", Remove: prefixes("10.0.0.1")}}})
		expect("when a set shrinks", "to a", "from a")
		watch(n, "forbidden since it was decided on", "10.0.0.1:80", true)
		expect("at its watch", "forbidden since it was decided on")
		c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid"}}})
		watch(n, "to a node", "192.0.2.12:80", true)
		c.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: runtime.NodeSet, Add: prefixes("192.0.2.12")}}})
		expect("when the node gets an address", "to a node")
		c.Apply(ofServices(service(trusted, "10.96.0.1", 443, "192.0.2.12:6443")))
		watch(n, "to the API server", "192.0.2.12:6443", true)
		expect("at the node")
		c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "third", Addresses: []netip.Addr{ip("10.0.0.9")}}}})
		watch(n, "to a pod", "10.0.0.9:80", true)
		c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "third", Addresses: []netip.Addr{ip("10.0.0.9")}, Ingress: &runtime.Rules{}}}})
		expect("when another pod of the node forbids it", "to a pod")
		n.Close()
		c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid", Ingress: &runtime.Rules{}, Egress: &runtime.Rules{}}}})
		watch(n, "after the end", "10.0.0.1:80", true)()
		expect("after the end")
	})
}

// TestEndpointsOfDatagrams: when a Service loses an endpoint, its datagrams go to another one.
// Connections of TCP go on.
func TestEndpointsOfDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := service("ns/dns", "10.96.0.10", 53, "10.244.9.9:53")
		dns.Ports = append(dns.Ports, dns.Ports[0])
		dns.Ports[1].Protocol = runtime.UDP
		c := newCluster(t, known(), ofServices(dns))
		n := newNetwork(t, c, "uid", ofPod("cluster", "*"))
		for _, p := range []runtime.Protocol{runtime.TCP, runtime.UDP} {
			route, err := n.Connect(p, at("10.96.0.10:53"))
			if err != nil {
				t.Fatal(err)
			}
			cut := false
			n.Watch(p, at("10.244.3.5:4321"), route.To, true, func() { cut = true })
			n.Watch(p, at("10.244.3.5:4322"), at("10.244.9.9:53"), true, func() { t.Error("what goes to the pod itself is cut") })
			changed := service("ns/dns", "10.96.0.10", 53, "10.244.9.10:53")
			changed.Ports = append(changed.Ports, changed.Ports[0])
			changed.Ports[1].Protocol = runtime.UDP
			c.Apply(ofServices(changed))
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if cut != (p == runtime.UDP) {
				t.Errorf("%s is cut: %v", p, cut)
			}
			c.Apply(ofServices(dns))
		}
		for i := range uint16(3 * maxLed) {
			n.led(target{}, netip.AddrPortFrom(ip("10.244.9.9"), i))
		}
		if len(n.leads) > maxLed {
			t.Errorf("%d endpoints are remembered", len(n.leads))
		}
	})
}

// TestCutDuringManyUpdates: updates without a pause do not put off a cut.
func TestCutDuringManyUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, known())
		n := newNetwork(t, c, "uid", ofPod("*", "*"))
		for i := range 100 {
			done := make(chan time.Time, 1)
			n.Watch(runtime.TCP, at("10.244.3.5:8080"), at("10.0.0.1:80"), true, func() { done <- time.Now() })
			began := time.Now()
			c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid", Egress: &runtime.Rules{}}}})
			for range 10 {
				time.Sleep(time.Duration(1+i%7) * time.Millisecond)
				c.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: "a", Add: prefixes("10.0.0.1")}}})
			}
			if took := (<-done).Sub(began); took > 200*time.Millisecond {
				t.Fatalf("the cut took %v", took)
			}
			c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid"}}})
		}
	})
}

// TestDenials: what is refused is told once for each target, with its number.
func TestDenials(t *testing.T) {
	c := newCluster(t, known(), runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid", Ingress: &runtime.Rules{}}}})
	n := newNetwork(t, c, "uid", ofPod("ok.example", "*"))
	for range 3 {
		_, _ = n.Connect(runtime.TCP, at("8.8.8.8:53"))
	}
	_, _ = n.Connect(runtime.TCP, at("169.254.169.254:80"))
	_ = n.Accept(runtime.TCP, at("10.244.3.5:8080"), at("10.0.0.1:1111"))
	_ = n.Accept(runtime.TCP, at("10.244.3.5:8080"), at("10.0.0.1:2222"))
	_, _ = n.Lookup(t.Context(), "Evil.Example.")
	_ = n.Name("evil.example", 443)
	got, err := c.Denials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"{uid {10.0.0.1:8080 true 2 false 2}}", "{uid {169.254.169.254:80 false 1 false 1}}", "{uid {8.8.8.8:53 false 0 false 3}}",
		"{uid {evil.example false 0 false 1}}", "{uid {evil.example:443 false 0 false 1}}",
	}
	var texts []string
	for _, d := range got {
		texts = append(texts, fmt.Sprint(d))
	}
	if slices.Sort(texts); !slices.Equal(texts, want) {
		t.Errorf("denials %q; want %q", texts, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if more, err := c.Denials(ctx); err == nil {
		t.Errorf("told twice: %v", more)
	}
	n.Close()
	c.Apply(known())
	if len(c.pods) != 0 {
		t.Errorf("%d pods are kept", len(c.pods))
	}
}

// TestAuditedDenials: with an audit, what is not allowed is told and not refused.
func TestAuditedDenials(t *testing.T) {
	c := newCluster(t, known())
	spec := ofPod("", "*")
	spec.Egress.Audit = true
	n := newNetwork(t, c, "uid", spec)
	n.resolver = book{"a.example": answer("a.example", "198.51.100.7")}
	lookUp(t, n, "a.example")
	wants(t, "a name", n.Name("a.example", 443), nil)
	_, err := n.Connect(runtime.TCP, at("198.51.100.7:443"))
	wants(t, "an address", err, nil)
	_, err = n.Connect(runtime.TCP, at("192.0.2.10:443"))
	wants(t, "the node", err, wasi.ErrAccess)
	audited := 0
	for _, d := range c.Refused() {
		if d.Audited {
			audited++
		}
		if d.Audited != (d.Target != "192.0.2.10:443") {
			t.Errorf("%+v", d)
		}
	}
	if audited != 3 {
		t.Errorf("%d targets are audited", audited)
	}
}

// TestManyDenials: a guest that is refused at ever other targets costs bounded memory, and the sum
// stays right.
func TestManyDenials(t *testing.T) {
	c := newCluster(t, known())
	n := newNetwork(t, c, "", ofPod("", "*"))
	const all = 5 * maxDenials
	for i := range uint16(all) {
		_, _ = n.Connect(runtime.TCP, netip.AddrPortFrom(ip("8.8.8.8"), i+1))
	}
	sum := int64(0)
	got := c.Refused()
	for _, d := range got {
		if sum += d.Times; d.Target == "" {
			t.Error("a denial has no target")
		}
	}
	if len(got) > maxDenials+1 || sum != all {
		t.Errorf("%d denials with a sum of %d", len(got), sum)
	}
	n.pod.denials.note(runtime.Denial{Target: strings.Repeat("x", 1000)})
	if got := c.Refused(); len(got) != 1 || len(got[0].Target) != maxTarget {
		t.Errorf("a long target: %d", len(got))
	}
}

// TestAtTheSameTime: updates, decisions, lookups, watches and ends of guests do not disturb each
// other, and a rule that has forbidden something is never passed over.
func TestAtTheSameTime(t *testing.T) {
	c := newCluster(t, known(), ofServices(manyServices(50)...))
	forbids := func(set string) *runtime.Rules {
		return &runtime.Rules{List: []runtime.Rule{{Sets: []string{set}}, {Blocks: []runtime.Block{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Except: prefixes("10.0.0.0/8")}}}}}
	}
	// Until the first update of the rules, all is allowed, so it comes before the guests.
	c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid0", Egress: forbids("a")}, {Pod: "uid1", Egress: forbids("a")}}})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				n := newNetwork(t, c, fmt.Sprint("uid", i%2), ofPod("*.example.com cluster 10.0.0.0/8", "*"))
				n.resolver = book{"a.example.com": answer("a.example.com", "198.51.100.7", "10.0.0.1")}
				var stops []func()
				var cut atomic.Int64
				for j := range 50 {
					_, _ = n.Lookup(ctx, "a.example.com")
					_, _ = n.Connect(runtime.TCP, at("198.51.100.7:443"))
					_, _ = n.Connect(runtime.UDP, at("10.96.0.7:80"))
					_, _ = n.Connect(runtime.TCP, at("10.96.0.7:80"))
					if _, err := n.Connect(runtime.TCP, at("10.99.0.1:80")); err == nil {
						t.Error("what the rules always forbid is allowed")
					}
					_ = n.Accept(runtime.TCP, at("10.244.3.5:80"), at("10.0.0.1:80"))
					_, _ = n.Bind(runtime.TCP, at("127.0.0.1:80"), true)
					n.Shown(at("10.244.3.5:80"))
					stops = append(stops, n.Watch(runtime.TCP, at("10.244.3.5:80"), at("10.0.0.1:80"), j%2 == 0, func() { cut.Add(1) }))
				}
				for _, stop := range stops[:25] {
					stop()
				}
				n.Close()
				if cut.Load() > 50 {
					t.Errorf("%d cuts of 50", cut.Load())
				}
			}
		})
	}
	all.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			u := runtime.NetworkUpdate{
				Sets:     []runtime.AddressSet{{Name: "a", Reset: i%3 == 0, Add: prefixes("10.0.0.1", "10.244.0.7"), Remove: prefixes("10.0.0.2")}},
				Services: []runtime.Service{service("ns/s7", "10.96.0.7", 80, fmt.Sprintf("10.244.0.7:%d", 1+i%100))},
			}
			if i%7 == 0 {
				u.Sets[0].Add, u.Sets[0].Remove = nil, prefixes("10.0.0.1")
			}
			if i%50 == 0 {
				more := known()
				u.Reset, u.Sets, u.Services = true, append(u.Sets, more.Sets...), append(u.Services, manyServices(50)...)
			}
			for j := range 2 {
				u.Pods = append(u.Pods, runtime.PodRules{
					Pod: fmt.Sprint("uid", j), Ingress: forbids("a"), Egress: forbids("a"), Addresses: []netip.Addr{ip(fmt.Sprintf("10.244.3.%d", 5+j))},
				})
			}
			c.Apply(u)
		}
	})
	all.Go(func() {
		for ctx.Err() == nil {
			_, _ = c.Denials(ctx)
		}
	})
	all.Wait()
}
