package network

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }
func ip(text string) netip.Addr     { return netip.MustParseAddr(text) }

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		} else {
			all = append(all, netip.MustParsePrefix(text))
		}
	}
	return all
}

// book is a Resolver that knows some names.
type book map[string]names.Answer

func (b book) Lookup(_ context.Context, name string) (names.Answer, error) {
	answer, ok := b[name]
	if !ok {
		return answer, &names.Error{Reason: names.Denied}
	}
	return answer, nil
}

func newCluster(t testing.TB, updates ...runtime.NetworkUpdate) *Cluster {
	t.Helper()
	c := NewCluster(func(err error) { t.Error(err) })
	t.Cleanup(c.Close)
	for _, u := range updates {
		c.Apply(u)
	}
	return c
}

func newNetwork(t testing.TB, c *Cluster, pod string, spec runtime.Network) *Network {
	t.Helper()
	n, err := c.New(pod, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	n.taken = func(runtime.Protocol, netip.AddrPort) bool { return false }
	return n
}

// known is what each node is told.
func known() runtime.NetworkUpdate {
	return runtime.NetworkUpdate{Reset: true, Sets: []runtime.AddressSet{
		{Name: runtime.NodeSet, Add: prefixes("192.0.2.10", "10.244.3.0/24", "fd00:7::10")},
		{Name: runtime.ClusterSet, Add: prefixes("10.244.3.5", "10.244.9.9", "10.96.0.1", "10.96.0.10", "10.96.0.20", "fd00:96::10")},
	}}
}

// ofPod is a pod with addresses of its own.
func ofPod(allow string, limits ...string) runtime.Network {
	return runtime.Network{
		Addresses: []netip.Addr{ip("10.244.3.5"), ip("fd00:3::5")}, Own: true,
		Egress: runtime.Egress{Allow: allow, Limits: limits, Domain: "cluster.local"},
	}
}

func wants(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: %v; want %v", what, err, want)
	}
}

// docs/security.md: "A guest connects to nothing and looks up no name"
// TestNothingIsAllowed: the zero Network connects to nothing and looks up no name.
func TestNothingIsAllowed(t *testing.T) {
	n := newNetwork(t, newCluster(t), "", runtime.Network{})
	for _, to := range []string{"127.0.0.1:80", "8.8.8.8:53", "[::1]:80", "0.0.0.0:80"} {
		_, err := n.Connect(runtime.TCP, at(to))
		wants(t, to, err, wasi.ErrAccess)
	}
	_, err := n.Lookup(t.Context(), "example.com")
	wants(t, "a lookup", err, wasi.ErrAccess)
	wants(t, "a name", n.Name("example.com", 443), wasi.ErrAccess)
	_, err = n.Bind(runtime.TCP, at("0.0.0.0:80"), true)
	wants(t, "listening", err, wasi.ErrAccess)
}

// TestMachine: with everything allowed and no address, a guest has what the machine has.
func TestMachine(t *testing.T) {
	n := newNetwork(t, newCluster(t), "", runtime.Network{Own: true, Egress: runtime.Egress{Allow: "*"}})
	for _, a := range []string{"0.0.0.0:80", "127.0.0.1:0", "[::]:8080"} {
		if got, err := n.Bind(runtime.TCP, at(a), true); err != nil || got != at(a) {
			t.Errorf("Bind(%s): %s, %v", a, got, err)
		}
	}
	for _, to := range []string{"127.0.0.1:80", "8.8.8.8:53", "[::1]:80"} {
		if route, err := n.Connect(runtime.TCP, at(to)); err != nil || route != (wasi.Route{To: at(to)}) {
			t.Errorf("Connect(%s): %+v, %v", to, route, err)
		}
	}
	if n.Own(ip("127.0.0.1")) || n.Shown(at("127.0.0.1:80")) != at("127.0.0.1:80") {
		t.Error("the machine's address is shown as another")
	}
	wants(t, "a client", n.Accept(runtime.TCP, at("127.0.0.1:80"), at("127.0.0.1:4321")), nil)
}

// docs/security.md: "and bind to no other address."
// TestOwnAddress: a guest whose pod has addresses of its own has just these, at all ports.
func TestOwnAddress(t *testing.T) {
	n := newNetwork(t, newCluster(t, known()), "uid", ofPod(""))
	for guest, host := range map[string]string{
		"0.0.0.0:8080": "10.244.3.5:8080", "127.0.0.1:0": "10.244.3.5:0", "10.244.3.5:1": "10.244.3.5:1", "[::ffff:127.0.0.1]:7": "10.244.3.5:7",
		"[::]:8080": "[fd00:3::5]:8080", "[::1]:9": "[fd00:3::5]:9", "[fd00:3::5]:0": "[fd00:3::5]:0",
	} {
		if got, err := n.Bind(runtime.TCP, at(guest), true); err != nil || got != at(host) {
			t.Errorf("Bind(%s): %s, %v; want %s", guest, got, err, host)
		}
	}
	for _, other := range []string{"192.0.2.10:80", "10.244.3.6:80", "[fd00:7::10]:80", "[fe80::1]:80"} {
		_, err := n.Bind(runtime.TCP, at(other), true)
		wants(t, other, err, wasi.ErrAddressNotAvailable)
	}
	if !n.Own(ip("10.244.3.5")) || !n.Own(ip("fd00:3::5")) || n.Own(ip("10.244.3.6")) || n.Own(netip.Addr{}) {
		t.Error("the guest has other addresses than its own")
	}
	// Connections to itself need no permission. Its loopback is its own address.
	for guest, host := range map[string]string{
		"127.0.0.1:8080": "10.244.3.5:8080", "127.9.9.9:1": "10.244.3.5:1", "0.0.0.0:8080": "10.244.3.5:8080",
		"10.244.3.5:8080": "10.244.3.5:8080", "[::1]:8080": "[fd00:3::5]:8080", "[::]:8080": "[fd00:3::5]:8080",
	} {
		want := wasi.Route{From: at(host).Addr(), To: at(host)}
		if got, err := n.Connect(runtime.TCP, at(guest)); err != nil || got != want {
			t.Errorf("Connect(%s): %+v, %v; want %+v", guest, got, err, want)
		}
	}
	wants(t, "from itself", n.Accept(runtime.TCP, at("10.244.3.5:8080"), at("10.244.3.5:4321")), nil)
}

// TestOneFamily: a pod without an IPv6 address has no IPv6 loopback, and no way to others.
func TestOneFamily(t *testing.T) {
	n := newNetwork(t, newCluster(t, known()), "uid", runtime.Network{
		Addresses: []netip.Addr{ip("10.244.3.5")}, Own: true, Egress: runtime.Egress{Allow: "*", Limits: []string{"*"}},
	})
	_, err := n.Bind(runtime.TCP, at("[::]:80"), true)
	wants(t, "binding", err, wasi.ErrAddressNotAvailable)
	_, err = n.Connect(runtime.TCP, at("[::1]:80"))
	wants(t, "connecting to loopback", err, wasi.ErrConnectionRefused)
	_, err = n.Connect(runtime.TCP, at("[2001:db8::1]:80"))
	wants(t, "connecting to others", err, wasi.ErrNetworkUnreachable)
}

// TestLoopbackIsPrivate: who is not of the pod does not reach a socket that listens at loopback.
func TestLoopbackIsPrivate(t *testing.T) {
	n := newNetwork(t, newCluster(t, known()), "uid", ofPod(""))
	bind := func(a string) {
		if _, err := n.Bind(runtime.TCP, at(a), true); err != nil {
			t.Fatal(err)
		}
	}
	bind("127.0.0.1:8080")
	bind("[::1]:8081")
	local, other := at("10.244.3.5:8080"), at("10.244.9.9:4321")
	wants(t, "another pod", n.Accept(runtime.TCP, local, other), wasi.ErrAccess)
	wants(t, "the pod", n.Accept(runtime.TCP, local, at("10.244.3.5:4321")), nil)
	wants(t, "another pod at another port", n.Accept(runtime.TCP, at("10.244.3.5:8081"), other), nil)
	for host, guest := range map[string]string{"10.244.3.5:8080": "127.0.0.1:8080", "[fd00:3::5]:8081": "[::1]:8081", "10.244.3.5:8081": "10.244.3.5:8081"} {
		if got := n.Shown(at(host)); got != at(guest) {
			t.Errorf("%s is shown as %s; want %s", host, got, guest)
		}
	}
	bind("127.0.0.1:8080") // the kernel has refused it
	n.Unbind(runtime.TCP, local)
	bind("0.0.0.0:8080") // so it has this
	wants(t, "another pod, while the first socket is there", n.Accept(runtime.TCP, local, other), wasi.ErrAccess)
	n.Unbind(runtime.TCP, local)
	wants(t, "another pod, when the first socket is closed", n.Accept(runtime.TCP, local, other), nil)
	for port := range uint16(maxPrivate) {
		_, _ = n.Bind(runtime.TCP, netip.AddrPortFrom(ip("127.0.0.1"), 20000+port), true)
	}
	_, err := n.Bind(runtime.TCP, at("127.0.0.1:19999"), true)
	wants(t, "too many", err, wasi.ErrNoBuffers)
	n.Unbind(runtime.TCP, at("10.244.3.5:20000"))
	bind("127.0.0.1:19999")
}

// TestSharedAddress: a guest with the node's address can have the ports that its spec names.
func TestSharedAddress(t *testing.T) {
	n := newNetwork(t, newCluster(t, known()), "uid", runtime.Network{
		Addresses: []netip.Addr{ip("192.0.2.10")}, Ports: []runtime.Port{{Protocol: runtime.TCP, Number: 8080}},
		Egress: runtime.Egress{Allow: "*", Limits: []string{"*"}},
	})
	if got, err := n.Bind(runtime.TCP, at("0.0.0.0:8080"), true); err != nil || got != at("192.0.2.10:8080") {
		t.Errorf("its port: %s, %v", got, err)
	}
	if got, err := n.Bind(runtime.TCP, at("0.0.0.0:0"), false); err != nil || got != at("0.0.0.0:0") {
		t.Errorf("a client's: %s, %v", got, err)
	}
	for _, tt := range []struct {
		p      runtime.Protocol
		a      string
		listen bool
		want   error
	}{
		{runtime.TCP, "0.0.0.0:0", true, wasi.ErrAccess},
		{runtime.TCP, "0.0.0.0:8081", true, wasi.ErrAccess},
		{runtime.TCP, "0.0.0.0:8081", false, wasi.ErrAccess},
		{runtime.UDP, "0.0.0.0:8080", true, wasi.ErrAccess},
		{runtime.TCP, "127.0.0.1:8080", true, wasi.ErrAddressNotAvailable},
		{runtime.TCP, "[::]:8080", true, wasi.ErrAddressNotAvailable},
	} {
		_, err := n.Bind(tt.p, at(tt.a), tt.listen)
		wants(t, tt.a, err, tt.want)
	}
	if route, err := n.Connect(runtime.TCP, at("8.8.8.8:53")); err != nil || route != (wasi.Route{To: at("8.8.8.8:53")}) {
		t.Errorf("the way to others: %+v, %v", route, err)
	}
	_, err := n.Connect(runtime.TCP, at("127.0.0.1:10250"))
	wants(t, "the node", err, wasi.ErrAccess)
}

// TestUnknownCluster: until a node has said which addresses are its own, a guest with a ceiling
// reaches only its own pod.
func TestUnknownCluster(t *testing.T) {
	c := newCluster(t)
	n := newNetwork(t, c, "uid", ofPod("*", "*"))
	_, err := n.Connect(runtime.TCP, at("8.8.8.8:53"))
	wants(t, "before", err, wasi.ErrAccess)
	_, err = n.Connect(runtime.TCP, at("127.0.0.1:53"))
	wants(t, "to itself", err, nil)
	c.Apply(known())
	_, err = n.Connect(runtime.TCP, at("8.8.8.8:53"))
	wants(t, "after", err, nil)
	_, err = n.Connect(runtime.TCP, at("10.244.3.77:22"))
	wants(t, "an address of the node's range that no pod has", err, wasi.ErrAccess)
	c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "other", Addresses: []netip.Addr{ip("10.244.3.77")}}}})
	_, err = n.Connect(runtime.TCP, at("10.244.3.77:22"))
	wants(t, "an address that a pod has", err, nil)
	c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "other", Gone: true}}})
	_, err = n.Connect(runtime.TCP, at("10.244.3.77:22"))
	wants(t, "when the pod is gone", err, wasi.ErrAccess)
}

// TestMistakes: a wrong list is told, and leaves nothing behind.
func TestMistakes(t *testing.T) {
	c := newCluster(t)
	if _, err := c.New("uid", ofPod("ok.example", "10.0.0.1/8")); err == nil || !strings.Contains(err.Error(), `limit 1 of egress: entry 1, "10.0.0.1/8"`) {
		t.Errorf("a wrong limit: %v", err)
	}
	n, err := c.New("uid", ofPod("ok.example", "*"))
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
	n.Close()
	if len(c.lists.known)+len(c.networks)+len(c.pods) > 0 {
		t.Errorf("the cluster keeps %d lists, %d networks, %d pods", len(c.lists.known), len(c.networks), len(c.pods))
	}
}

// TestZones: a zone leads around nothing, and link-local addresses keep theirs.
func TestZones(t *testing.T) {
	c := newCluster(t, known(), runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "other", Addresses: []netip.Addr{ip("fd00:3::6")}, Ingress: &runtime.Rules{}}}})
	n := newNetwork(t, c, "uid", ofPod("*", "* fe80::/64"))
	for to, want := range map[string]error{
		"[fd00:3::6%1]:80": wasi.ErrAccess, "[fd00:7::10%lo]:80": wasi.ErrAccess, "[ff02::1%1]:80": wasi.ErrAccess, "[fe81::1%1]:80": wasi.ErrAccess,
		"[2001:db8::1%x]:80": nil, "[fd00:3::5%1]:80": nil, "[::1%lo]:80": nil, "[fe80::7%1]:80": nil,
	} {
		route, err := n.Connect(runtime.TCP, at(to))
		wants(t, to, err, want)
		if zone := route.To.Addr().Zone(); (zone != "") != (to == "[fe80::7%1]:80") {
			t.Errorf("%s leads to %s", to, route.To)
		}
	}
}

// FuzzConnect: with the default ceiling, no address leads to what it closes, nor to a pod that does
// not want it.
func FuzzConnect(f *testing.F) {
	f.Add(ip("::ffff:127.0.0.1").AsSlice(), uint16(80), "")
	f.Add(ip("fd00:7::10").AsSlice(), uint16(80), "1")
	f.Add(ip("10.244.3.6").AsSlice(), uint16(80), "")
	f.Add(ip("10.96.0.40").AsSlice(), uint16(80), "")
	f.Fuzz(func(t *testing.T, bytes []byte, port uint16, zone string) {
		a, ok := netip.AddrFromSlice(bytes)
		if !ok {
			return
		}
		c := newCluster(t, known(), ofServices(service("ns/node", "10.96.0.40", 80, "192.0.2.10:10250")), runtime.NetworkUpdate{
			Pods: []runtime.PodRules{{Pod: "other", Addresses: []netip.Addr{ip("10.244.3.6"), ip("fd00:3::6")}, Ingress: &runtime.Rules{}}},
		})
		n := newNetwork(t, c, "uid", ofPod("*", "*"))
		route, err := n.Connect(runtime.UDP, netip.AddrPortFrom(a.WithZone(zone), port))
		if err != nil {
			return
		}
		to := route.To.Addr()
		if own := n.Own(to); to.Is4In6() || to.IsLoopback() || to.IsUnspecified() || to.IsMulticast() || to.IsLinkLocalUnicast() ||
			!own && c.sets.node.Contains(to) || to == ip("fd00:3::6") || route.From != n.of(to) {
			t.Errorf("%s%%%s leads from %s to %s", a, zone, route.From, route.To)
		}
	})
}
