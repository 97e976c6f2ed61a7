package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func answer(name string, addresses ...string) names.Answer {
	a := names.Answer{Name: name, TTL: time.Minute}
	for _, text := range addresses {
		a.Addresses = append(a.Addresses, ip(text))
	}
	return a
}

func lookUp(t *testing.T, n *Network, name string) {
	t.Helper()
	if _, err := n.Lookup(t.Context(), name); err != nil {
		t.Fatalf("looking up %s: %v", name, err)
	}
}

// TestPins: an address may be connected to after a lookup of a name that is allowed, for some
// minutes, and longer while there are connections.
func TestPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, newCluster(t, known()), "uid", ofPod("api.example.com:443", "*"))
		n.resolver = book{"api.example.com": answer("api.example.com", "198.51.100.7", "198.51.100.8")}
		to := at("198.51.100.7:443")
		try := func(when string, want error) {
			t.Helper()
			_, err := n.Connect(runtime.TCP, to)
			wants(t, when, err, want)
		}
		try("before the lookup", wasi.ErrAccess)
		lookUp(t, n, "api.example.com")
		try("after the lookup", nil)
		_, err := n.Connect(runtime.TCP, at("198.51.100.7:80"))
		wants(t, "at another port", err, wasi.ErrAccess)
		_, err = n.Connect(runtime.TCP, at("198.51.100.9:443"))
		wants(t, "at another address", err, wasi.ErrAccess)
		time.Sleep(pinLife - time.Second)
		try("minutes later", nil)
		stop := n.Watch(runtime.TCP, at("10.244.3.5:4321"), to, true, func() { t.Error("the connection is cut") })
		time.Sleep(time.Hour)
		try("while a connection exists", nil)
		_, err = n.Connect(runtime.TCP, at("198.51.100.8:443"))
		wants(t, "at an address without connections", err, wasi.ErrAccess)
		stop()
		stop()
		try("after the connection", nil)
		time.Sleep(pinLife + time.Second)
		try("long after the connection", wasi.ErrAccess)
		lookUp(t, n, "api.example.com")
		try("after another lookup", nil)
	})
}

// docs/security.md: "for every name"
// TestRebinding: whatever a name resolves to, the ceiling stays.
func TestRebinding(t *testing.T) {
	n := newNetwork(t, newCluster(t, known()), "uid", ofPod("*", "* ", "*.example.com 203.0.113.0/24"))
	for _, a := range []string{"169.254.169.254", "127.0.0.1", "192.0.2.10", "::1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"} {
		n.resolver = book{"a.example.com": answer("a.example.com", a, "198.51.100.7")}
		lookUp(t, n, "a.example.com")
		_, err := n.Connect(runtime.TCP, netip.AddrPortFrom(ip("198.51.100.7"), 80))
		wants(t, "the name's other address", err, nil)
		if ip(a).IsLoopback() {
			continue // the guest's own pod
		}
		_, err = n.Connect(runtime.TCP, netip.AddrPortFrom(ip(a), 80))
		wants(t, a, err, wasi.ErrAccess)
	}
}

// TestPodsOwnNames: a pod cannot leave a ceiling by what its hosts file or its own servers say.
func TestPodsOwnNames(t *testing.T) {
	spec := ofPod("*", "*", "*.example.com")
	own := answer("a.example.com", "198.51.100.7")
	own.Own = true
	n := newNetwork(t, newCluster(t, known()), "uid", spec)
	n.resolver = book{"a.example.com": own}
	lookUp(t, n, "a.example.com")
	_, err := n.Connect(runtime.TCP, at("198.51.100.7:80"))
	wants(t, "of the hosts file", err, wasi.ErrAccess)
	spec.Names.Chosen = true
	n = newNetwork(t, newCluster(t, known()), "uid", spec)
	n.resolver = book{"a.example.com": answer("a.example.com", "198.51.100.7")}
	lookUp(t, n, "a.example.com")
	_, err = n.Connect(runtime.TCP, at("198.51.100.7:80"))
	wants(t, "of servers that the pod has chosen", err, wasi.ErrAccess)
}

// TestName decides before a lookup, with the search domains of the pod.
func TestName(t *testing.T) {
	spec := ofPod("api.example.com:443 cluster", "*")
	spec.Names.Search = []string{"ns.svc.cluster.local", "svc.cluster.local", "cluster.local"}
	spec.Names.Hosts = []runtime.Host{{Address: ip("198.51.100.1"), Names: []string{"Written"}}}
	n := newNetwork(t, newCluster(t, known()), "uid", spec)
	for name, want := range map[string]error{
		"api.example.com": nil, "API.example.com.": nil, "db.ns": nil, "kubernetes.default.svc": nil, "db.ns.svc.cluster.local.": nil,
		"written": nil, "localhost": nil, "a.localhost": nil, "192.0.2.1": nil, "::1": nil,
		"db.ns.svc.": wasi.ErrAccess, "a b": wasi.ErrInvalid, "": wasi.ErrInvalid, "1.2.3": wasi.ErrInvalid,
	} {
		wants(t, name, n.Name(name, 443), want)
	}
	wants(t, "another port", n.Name("api.example.com", 80), nil) // it may be api.example.com.ns.svc.cluster.local
	wants(t, "another port of the full name", n.Name("api.example.com.", 80), wasi.ErrAccess)
	spec.Egress.Allow = "api.example.com:443"
	n = newNetwork(t, newCluster(t, known()), "uid", spec)
	wants(t, "a name of the cluster, which is not allowed", n.Name("db.ns", 443), wasi.ErrAccess)
}

// failing is a Resolver that fails.
type failing struct{ err error }

func (f failing) Lookup(context.Context, string) (names.Answer, error) { return names.Answer{}, f.err }

// TestLookupErrors: a guest learns why a lookup has failed, and requests of HTTP the server's code.
func TestLookupErrors(t *testing.T) {
	n := newNetwork(t, newCluster(t), "", runtime.Network{Egress: runtime.Egress{Allow: "*"}})
	late := fmt.Errorf("dialing: %w", context.DeadlineExceeded) // an error of net, that of a server's time
	for _, tt := range []struct {
		failed names.Error
		want   wasi.Error
	}{
		{names.Error{Reason: names.Invalid}, wasi.ErrInvalid},
		{names.Error{Reason: names.Denied}, wasi.ErrAccess},
		{names.Error{Reason: names.NotFound, RCode: "NXDOMAIN"}, wasi.ErrNotExist},
		{names.Error{Reason: names.NoAddress, RCode: "NOERROR"}, wasi.ErrNotExist},
		{names.Error{Reason: names.NoAnswer, Cause: late}, wasi.ErrWouldBlock},
		{names.Error{Reason: names.Failed, RCode: "SERVFAIL"}, wasi.ErrIO},
		{names.Error{Reason: names.TooMany}, wasi.ErrNoBuffers},
		{names.Error{Reason: names.NoServer}, wasi.ErrIO},
	} {
		n.resolver = failing{&tt.failed}
		_, err := n.Lookup(t.Context(), "web")
		if got := wasi.ErrorOf(err); got != tt.want {
			t.Errorf("%v is %v, want %v", &tt.failed, got, tt.want)
		}
		var coded interface{ Rcode() string }
		if !errors.As(err, &coded) || coded.Rcode() != tt.failed.RCode {
			t.Errorf("%v has the code %v, want %q", &tt.failed, coded, tt.failed.RCode)
		}
	}
	n.resolver = failing{context.Canceled}
	if _, err := n.Lookup(t.Context(), "web"); wasi.ErrorOf(err) != 0 {
		t.Errorf("the end of the context is %v", err)
	}
}

// TestManyPins: lookups of a guest cost bounded memory, and the last ones count.
func TestManyPins(t *testing.T) {
	n := newNetwork(t, newCluster(t, known()), "uid", ofPod("*.example.com", "*"))
	name := func(i int) string { return fmt.Sprintf("h%d.example.com", i) }
	for i := range maxPins + 10 {
		a := netip.AddrFrom4([4]byte{198, 18, byte(i / 256), byte(i)})
		n.pin(names.Answer{Name: name(i), Addresses: []netip.Addr{a}})
		n.pin(names.Answer{Name: name(i), Addresses: []netip.Addr{ip("198.51.100.1")}})
	}
	if len(n.pins) > maxPins || len(n.pins[ip("198.51.100.1")].names) > maxPinned {
		t.Errorf("%d addresses, one with %d names", len(n.pins), len(n.pins[ip("198.51.100.1")].names))
	}
	_, err := n.Connect(runtime.TCP, netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte((maxPins + 9) / 256), byte((maxPins + 9) % 256)}), 80))
	wants(t, "the last address", err, nil)
}

// docs/egress.md: "A name is looked up only if it is allowed: otherwise no name server hears of it."
// TestNoPacketLeaves: a server is asked for a name that is allowed, and for no other.
func TestNoPacketLeaves(t *testing.T) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	questions := make(chan string, 100)
	var all sync.WaitGroup
	all.Go(func() {
		defer close(questions)
		message := make([]byte, 1500)
		for {
			size, _, err := server.ReadFrom(message)
			if err != nil {
				return
			}
			questions <- string(message[:size])
		}
	})
	n := newNetwork(t, newCluster(t, known()), "", runtime.Network{
		Egress: runtime.Egress{Allow: "asked.example.com", Limits: []string{"*.com"}},
		Names: runtime.Names{
			Servers: []netip.AddrPort{server.LocalAddr().(*net.UDPAddr).AddrPort()}, Search: []string{"secret.example"}, Ndots: 5,
			Timeout: time.Second, Attempts: 1, Hosts: []runtime.Host{{Address: ip("198.51.100.1"), Names: []string{"secret.hosts"}}},
		},
	})
	for _, name := range []string{"secret.example.com", "secret.asked.example.com", "secret", "secret.localhost", "secret.hosts"} {
		_, _ = n.Lookup(t.Context(), name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	all.Go(func() { _, _ = n.Lookup(ctx, "Asked.example.com") })
	first := <-questions
	cancel()
	_ = server.Close()
	all.Wait()
	for q := first; q != ""; q = <-questions {
		if strings.Contains(q, "secret") || !strings.Contains(strings.ToLower(q), "asked") {
			t.Errorf("a server was asked %q", q)
		}
	}
}

// TestServers: the servers of the node's choice are asked for every guest that NetworkPolicies let
// through; those that a pod has chosen must be in its list.
func TestServers(t *testing.T) {
	// Only the decisions count here: nothing is sent to an address that was not allowed.
	spec := ofPod("203.0.113.53", "*")
	spec.Names.PodServers = []netip.AddrPort{at("203.0.113.53:53"), at("203.0.113.54:53"), at("169.254.169.254:53")}
	c := newCluster(t, known())
	n := newNetwork(t, c, "uid", spec)
	denied := func(server string) bool {
		_, err := n.dialServer(t.Context(), runtime.UDP, at(server))
		return errors.Is(err, wasi.ErrAccess)
	}
	for server, want := range map[string]bool{"203.0.113.53:53": false, "203.0.113.54:53": true, "169.254.169.254:53": true, "169.254.20.10:53": false, "10.96.0.10:53": false} {
		if denied(server) != want {
			t.Errorf("the server %s is denied: %v", server, !want)
		}
	}
	c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid", Egress: &runtime.Rules{}}}})
	if !denied("10.96.0.10:53") {
		t.Error("a NetworkPolicy forbids all, and a server is asked")
	}
}

// TestServersAreAskedBy: servers of the cluster are asked by the pod, as NetworkPolicies at their
// end expect, and those of the node by the node: they may serve no others.
func TestServersAreAskedBy(t *testing.T) {
	pod := netip.AddrFrom4([4]byte{127, 77, 1, 5})
	c := newCluster(t, runtime.NetworkUpdate{Reset: true, Sets: []runtime.AddressSet{
		{Name: runtime.NodeSet, Add: prefixes("127.0.0.1")}, {Name: runtime.ClusterSet, Add: prefixes("127.77.0.53")},
	}})
	n := newNetwork(t, c, "uid", runtime.Network{Addresses: []netip.Addr{pod}, Own: true})
	for server, want := range map[string]netip.Addr{"127.0.0.53:53": ip("127.0.0.1"), "127.77.0.53:53": pod} {
		conn, err := n.dialServer(t.Context(), runtime.UDP, at(server)) // nothing is sent
		if err != nil {
			t.Errorf("%s: %v", server, err)
			continue
		}
		if got := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); got != want {
			t.Errorf("%s is asked by %s, want %s", server, got, want)
		}
		conn.Close()
	}
}
