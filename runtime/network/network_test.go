package network

import (
	"context"
	"errors"
	"net/netip"
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
