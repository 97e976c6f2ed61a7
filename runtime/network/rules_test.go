package network

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func tcp(first, last uint16) runtime.PortRange {
	return runtime.PortRange{Protocol: runtime.TCP, First: first, Last: last}
}

// TestRules: what the rules of NetworkPolicies allow.
func TestRules(t *testing.T) {
	sets := []runtime.AddressSet{
		{Name: "web", Add: prefixes("10.0.0.1", "10.0.0.2", "::ffff:10.0.0.7")},
		{Name: "wide", Add: prefixes("10.1.0.0/16", "10.0.0.1", "fd00::/64")},
	}
	block := func(prefix string, except ...string) []runtime.Block {
		return []runtime.Block{{Prefix: netip.MustParsePrefix(prefix), Except: prefixes(except...)}}
	}
	udp := runtime.PortRange{Protocol: runtime.UDP, First: 53, Last: 53}
	for name, tt := range map[string]struct {
		rules   *runtime.Rules
		allowed string // ADDRESS:PORT, for TCP unless it begins with udp
		denied  string
	}{
		"none":                              {nil, "8.8.8.8:1 udp8.8.8.8:1", ""},
		"empty":                             {&runtime.Rules{}, "", "10.0.0.1:80 udp10.0.0.1:53"},
		"no peer":                           {&runtime.Rules{List: []runtime.Rule{{Ports: []runtime.PortRange{tcp(80, 80)}}}}, "", "10.0.0.1:80"},
		"any":                               {&runtime.Rules{List: []runtime.Rule{{Any: true}}}, "8.8.8.8:1 udp[fd00::9]:1", ""},
		"any, port":                         {&runtime.Rules{List: []runtime.Rule{{Any: true, Ports: []runtime.PortRange{tcp(80, 90), udp}}}}, "8.8.8.8:80 8.8.8.8:85 8.8.8.8:90 udp8.8.8.8:53", "8.8.8.8:79 8.8.8.8:91 8.8.8.8:53 udp8.8.8.8:80"},
		"set":                               {&runtime.Rules{List: []runtime.Rule{{Sets: []string{"web"}}}}, "10.0.0.1:1 udp10.0.0.2:5 10.0.0.7:1", "10.0.0.3:1 10.1.2.3:1"},
		"set, port":                         {&runtime.Rules{List: []runtime.Rule{{Sets: []string{"web"}, Ports: []runtime.PortRange{tcp(80, 80)}}}}, "10.0.0.1:80", "10.0.0.1:81 10.0.0.3:80"},
		"wide set":                          {&runtime.Rules{List: []runtime.Rule{{Sets: []string{"wide"}}}}, "10.1.2.3:1 [fd00::7]:1 10.0.0.1:1", "10.2.0.1:1 10.0.0.2:1"},
		"unknown":                           {&runtime.Rules{List: []runtime.Rule{{Sets: []string{"gone", ""}}}}, "", "10.0.0.1:80"},
		"block":                             {&runtime.Rules{List: []runtime.Rule{{Blocks: block("10.0.0.0/8", "10.9.0.0/16", "10.0.0.5/32")}}}, "10.0.0.1:1 10.8.255.255:1", "10.9.0.1:1 10.0.0.5:1 11.0.0.1:1 [fd00::1]:1"},
		"block with bits behind its length": {&runtime.Rules{List: []runtime.Rule{{Blocks: block("10.0.0.77/8", "10.9.1.1/16")}}}, "10.0.0.1:1", "10.9.0.1:1"},
		"an exception of one, the range of another": {&runtime.Rules{List: []runtime.Rule{
			{Blocks: block("10.0.0.0/8", "10.9.0.0/16"), Ports: []runtime.PortRange{tcp(80, 80)}},
			{Blocks: block("10.9.1.0/24", "10.9.1.1/32"), Ports: []runtime.PortRange{tcp(443, 443)}},
		}}, "10.8.0.1:80 10.9.1.2:443", "10.8.0.1:443 10.9.1.2:80 10.9.1.1:443 10.9.1.1:80 10.9.2.1:443"},
		"all IPv4":          {&runtime.Rules{List: []runtime.Rule{{Blocks: block("0.0.0.0/0", "169.254.0.0/16")}}}, "8.8.8.8:53", "169.254.169.254:80 [::1]:1"},
		"one of many":       {&runtime.Rules{List: []runtime.Rule{{Sets: []string{"gone"}}, {Any: true, Ports: []runtime.PortRange{udp}}, {Sets: []string{"web"}, Ports: []runtime.PortRange{tcp(443, 443), tcp(80, 80)}}}}, "10.0.0.1:443 10.0.0.1:80 udp9.9.9.9:53", "10.0.0.1:8080 9.9.9.9:443"},
		"ports upside down": {&runtime.Rules{List: []runtime.Rule{{Any: true, Ports: []runtime.PortRange{tcp(90, 80)}}}}, "", "8.8.8.8:85"},
		"an invalid block":  {&runtime.Rules{List: []runtime.Rule{{Blocks: []runtime.Block{{}, {Prefix: netip.PrefixFrom(ip("10.0.0.1"), 99)}}}}}, "", "10.0.0.1:1 0.0.0.0:1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, known(), runtime.NetworkUpdate{Sets: sets, Pods: []runtime.PodRules{{Pod: "uid", Ingress: tt.rules, Egress: tt.rules}}})
			n := newNetwork(t, c, "uid", ofPod("*", "*"))
			try := func(list string, want error) {
				for _, text := range strings.Fields(list) {
					p := runtime.TCP
					text, isUDP := strings.CutPrefix(text, "udp")
					if isUDP {
						p = runtime.UDP
					}
					if a := at(text); a.Addr() != ip("169.254.169.254") && a.Addr() != ip("::1") && a.Addr() != ip("0.0.0.0") {
						_, err := n.Connect(p, a)
						wants(t, "to "+text, err, want)
					}
					a := at(text)
					wants(t, "from "+text, n.Accept(p, netip.AddrPortFrom(ip("10.244.3.5"), a.Port()), netip.AddrPortFrom(a.Addr(), 4321)), want)
				}
			}
			try(tt.allowed, nil)
			try(tt.denied, wasi.ErrAccess)
			wants(t, "from the node", n.Accept(runtime.TCP, at("10.244.3.5:80"), at("192.0.2.10:4321")), nil)
			wants(t, "from itself", n.Accept(runtime.TCP, at("10.244.3.5:80"), at("10.244.3.5:4321")), nil)
			_, err := n.Connect(runtime.TCP, at("127.0.0.1:80"))
			wants(t, "to itself", err, nil)
		})
	}
}

// TestPolicyOfTheEndpoint: NetworkPolicies are about the endpoint of a Service and its port.
func TestPolicyOfTheEndpoint(t *testing.T) {
	rules := &runtime.Rules{List: []runtime.Rule{{Blocks: []runtime.Block{{Prefix: netip.MustParsePrefix("10.244.9.0/24")}}, Ports: []runtime.PortRange{tcp(8080, 8080)}}}}
	c := newCluster(t, known(), ofServices(service("ns/a", "10.96.0.10", 80, "10.244.9.9:8080"), service("ns/b", "10.96.0.20", 8080, "10.244.8.8:8080")),
		runtime.NetworkUpdate{
			Sets: []runtime.AddressSet{{Name: runtime.ClusterSet, Add: prefixes("10.244.8.8")}},
			Pods: []runtime.PodRules{{Pod: "uid", Egress: rules}},
		})
	n := newNetwork(t, c, "uid", ofPod("cluster", "*"))
	_, err := n.Connect(runtime.TCP, at("10.96.0.10:80"))
	wants(t, "its endpoint is allowed", err, nil)
	_, err = n.Connect(runtime.TCP, at("10.96.0.20:8080"))
	wants(t, "its endpoint is not", err, wasi.ErrAccess)
}

// TestPodsOfOneNode: a connection between two pods of the node is refused when it is made, if the
// rules of the other forbid it.
func TestPodsOfOneNode(t *testing.T) {
	deny := runtime.PodRules{Pod: "other", Addresses: []netip.Addr{ip("10.244.3.6")}, Ingress: &runtime.Rules{List: []runtime.Rule{{Sets: []string{"friends"}}}}}
	c := newCluster(t, known(), runtime.NetworkUpdate{Pods: []runtime.PodRules{deny, {Pod: "uid", Addresses: []netip.Addr{ip("10.244.3.5")}}}})
	n := newNetwork(t, c, "uid", ofPod("10.244.3.0/24", "*"))
	_, err := n.Connect(runtime.TCP, at("10.244.3.6:80"))
	wants(t, "a stranger", err, wasi.ErrAccess)
	c.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: "friends", Add: prefixes("10.244.3.5")}}})
	_, err = n.Connect(runtime.TCP, at("10.244.3.6:80"))
	wants(t, "a friend", err, nil)
}

// TestPodThatIsNotKnownYet: an address of the node's range of pods does not count as the node's.
func TestPodThatIsNotKnownYet(t *testing.T) {
	c := newCluster(t, known(), runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid", Ingress: &runtime.Rules{}}}})
	n := newNetwork(t, c, "uid", ofPod(""))
	wants(t, "from a pod", n.Accept(runtime.TCP, at("10.244.3.5:80"), at("10.244.3.99:4321")), wasi.ErrAccess)
	wants(t, "from the node", n.Accept(runtime.TCP, at("10.244.3.5:80"), at("192.0.2.10:4321")), nil)
}

// TestRulesOfTheStart hold until the cluster says others, and not again when it forgets those.
func TestRulesOfTheStart(t *testing.T) {
	spec := ofPod("*", "*")
	spec.Rules.Egress = &runtime.Rules{List: []runtime.Rule{{Sets: []string{"web"}}}}
	c := newCluster(t, known())
	n := newNetwork(t, c, "uid", spec)
	try := func(when string, want error) {
		t.Helper()
		_, err := n.Connect(runtime.TCP, at("10.0.0.1:80"))
		wants(t, when, err, want)
	}
	try("before the set is known", wasi.ErrAccess)
	c.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: "web", Add: prefixes("10.0.0.1")}}})
	try("when it is known", nil)
	c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid", Egress: &runtime.Rules{}}}})
	try("when the cluster forbids all", wasi.ErrAccess)
	c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid"}}})
	try("when no policy is about the pod", nil)
	c.Apply(known())
	try("when the cluster has begun again, without the pod", nil)
}

// TestSetsChange: sets grow, shrink, begin again and are forgotten.
func TestSetsChange(t *testing.T) {
	s := newSets()
	apply := func(u runtime.AddressSet) {
		t.Helper()
		u.Name = "a"
		var errs []error
		if s, errs = s.updated([]runtime.AddressSet{u}, false); len(errs) > 0 {
			t.Fatal(errs)
		}
	}
	has := func(list string) {
		t.Helper()
		r, err := newRules(&runtime.Rules{List: []runtime.Rule{{Sets: []string{"a"}}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{"10.0.0.1", "10.0.0.2", "10.1.0.1", "10.1.0.2"} {
			if got, want := r.allow(s, runtime.TCP, ip(a), 80), strings.Contains(list, a); got != want {
				t.Errorf("the set has %s: %v; want %v", a, got, want)
			}
		}
	}
	before := s
	apply(runtime.AddressSet{Add: prefixes("10.0.0.1", "10.0.0.1", "10.0.0.2")})
	has("10.0.0.1 10.0.0.2")
	apply(runtime.AddressSet{Remove: prefixes("10.0.0.1", "10.9.9.9"), Add: prefixes("10.1.0.0/16")})
	has("10.0.0.2 10.1.0.1 10.1.0.2")
	apply(runtime.AddressSet{Remove: prefixes("10.1.0.0/16"), Add: prefixes("10.1.0.2")})
	has("10.0.0.2 10.1.0.2")
	apply(runtime.AddressSet{Reset: true, Add: prefixes("10.0.0.1", "10.0.0.2")})
	has("10.0.0.1 10.0.0.2")
	apply(runtime.AddressSet{Remove: prefixes("10.0.0.1"), Add: prefixes("10.0.0.1")}) // it contradicts itself: it is there
	has("10.0.0.1 10.0.0.2")
	apply(runtime.AddressSet{Reset: true})
	has("")
	if len(s.byName) != 0 || s.count != 0 || s.index.Size() != 0 || len(s.ranged) != 0 || len(before.byName) != 0 || before.index.Size() != 0 {
		t.Errorf("what is left: %d sets, %d addresses, %d in the index, %d ranged", len(s.byName), s.count, s.index.Size(), len(s.ranged))
	}
}

// TestTooMany: what is beyond a bound is told, and allows nothing.
func TestTooMany(t *testing.T) {
	s := newSets()
	s.max = 3
	s, errs := s.updated([]runtime.AddressSet{{Name: "a", Add: prefixes("10.0.0.1", "10.0.0.2")}, {Name: "b", Add: prefixes("10.0.0.1", "10.0.0.3")}}, false)
	if len(errs) != 1 || s.count != 3 || !strings.Contains(errs[0].Error(), `the set "b" lacks some`) {
		t.Errorf("%d addresses, %v", s.count, errs)
	}
	r, err := newRules(&runtime.Rules{List: make([]runtime.Rule, maxRules+1)})
	if err == nil || r.allow(s, runtime.TCP, ip("10.0.0.1"), 80) {
		t.Errorf("too many rules: %v", err)
	}
	r, err = newRules(&runtime.Rules{List: []runtime.Rule{{Any: true}, {Blocks: make([]runtime.Block, maxBlocks+1)}}})
	if err == nil || r.allow(s, runtime.TCP, ip("10.0.0.1"), 80) {
		t.Errorf("too many blocks: %v", err)
	}
	var told error
	c := NewCluster(func(err error) { told = err })
	defer c.Close()
	for i := range maxPods {
		c.pods[strings.Repeat("x", 1+i%7)+string(rune('0'+i))] = &pod{}
	}
	c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid"}, {}}})
	if told == nil || !strings.Contains(told.Error(), `"uid"`) {
		t.Errorf("too many pods: %v", told)
	}
}

// plainly is what rules mean, written down as the type says it.
func plainly(r *runtime.Rules, members map[string][]netip.Prefix, p runtime.Protocol, other netip.Addr, port uint16) bool {
	if r == nil {
		return true
	}
	in := func(list []netip.Prefix) bool {
		for _, prefix := range list {
			if prefix.Contains(other) {
				return true
			}
		}
		return false
	}
	for _, rule := range r.List {
		peer, open := rule.Any, len(rule.Ports) == 0
		for _, name := range rule.Sets {
			peer = peer || in(members[name])
		}
		for _, b := range rule.Blocks {
			peer = peer || b.Prefix.Contains(other) && !in(b.Except)
		}
		for _, ports := range rule.Ports {
			open = open || ports.Protocol == p && ports.First <= port && port <= ports.Last
		}
		if peer && open {
			return true
		}
	}
	return false
}

// FuzzRules: rules that were made for fast decisions mean what they say, while sets change.
func FuzzRules(f *testing.F) {
	f.Add(uint64(1))
	f.Add(uint64(2))
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		address := func() netip.Addr {
			return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(3)), byte(r.IntN(5))})
		}
		prefix := func() netip.Prefix {
			return netip.PrefixFrom(address(), []int{0, 8, 15, 16, 23, 24, 30, 31, 32, 32, 32}[r.IntN(11)]).Masked()
		}
		list := func(n int) (all []netip.Prefix) {
			for range r.IntN(n) {
				all = append(all, prefix())
			}
			return all
		}
		name := func() string { return string(rune('a' + r.IntN(4))) }
		from := &runtime.Rules{}
		for range r.IntN(6) {
			rule := runtime.Rule{Any: r.IntN(10) == 0}
			for range r.IntN(3) {
				rule.Sets = append(rule.Sets, name())
			}
			for range r.IntN(3) {
				rule.Blocks = append(rule.Blocks, runtime.Block{Prefix: prefix(), Except: list(3)})
			}
			for range r.IntN(3) {
				first := uint16(r.IntN(8))
				rule.Ports = append(rule.Ports, runtime.PortRange{Protocol: runtime.Protocol(r.IntN(2)), First: first, Last: first + uint16(r.IntN(3))})
			}
			from.List = append(from.List, rule)
		}
		rules, err := newRules(from)
		if err != nil {
			t.Fatal(err)
		}
		s, members := newSets(), map[string]map[netip.Prefix]bool{}
		for range 4 {
			reset := r.IntN(8) == 0
			if reset {
				clear(members)
			}
			var updates []runtime.AddressSet
			for range r.IntN(4) {
				u := runtime.AddressSet{Name: name(), Reset: r.IntN(3) == 0, Add: list(5), Remove: list(4)}
				updates = append(updates, u)
				if members[u.Name] == nil || u.Reset {
					members[u.Name] = map[netip.Prefix]bool{}
				}
				for _, p := range u.Remove {
					delete(members[u.Name], p)
				}
				for _, p := range u.Add {
					members[u.Name][p] = true
				}
			}
			var errs []error
			if s, errs = s.updated(updates, reset); len(errs) > 0 {
				t.Fatal(errs)
			}
			lists := map[string][]netip.Prefix{}
			for name, set := range members {
				for p := range set {
					lists[name] = append(lists[name], p)
				}
			}
			for range 20 {
				p, other, port := runtime.Protocol(r.IntN(2)), address(), uint16(r.IntN(10))
				if got, want := rules.allow(s, p, other, port), plainly(from, lists, p, other, port); got != want {
					t.Fatalf("%s %s port %d: %v, want %v\nrules %+v\nsets %v", p, other, port, got, want, from, lists)
				}
			}
		}
	})
}
