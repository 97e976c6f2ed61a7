package wasmtime

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/podsync/address"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// ask runs a command of kitchen to its end, and returns its output and what it says of an error.
func (e *Engine) ask(t *testing.T, pod string, n runtime.Network, args ...string) (out, errs string) {
	t.Helper()
	r := start(t, e, guests.Build(t, "kitchen"), runtime.Spec{
		Of: runtime.Origin{Pod: pod}, Network: n, Command: runtime.Command{Args: append([]string{"kitchen"}, args...)},
	})
	r.wait()
	return r.screen.text()
}

// TestNodeBehindPods: a guest reaches other pods and Services, but not the node: neither by
// addresses of its range of pods, nor by its own pod's address.
func TestNodeBehindPods(t *testing.T) {
	if !ownnetwork.Enter(t) {
		return
	}
	if err := address.MakeLocal(netip.MustParsePrefix("10.9.8.0/24")); err != nil {
		t.Fatal(err)
	}
	everywhere, other := newServers(t, net.IPv4zero), newServers(t, net.IPv4(10, 9, 8, 2))
	port := func(a net.Addr) string { return strconv.Itoa(int(netip.MustParseAddrPort(a.String()).Port())) }
	e := newEngine(t)
	pod, web := netip.MustParseAddr("10.9.8.7"), netip.MustParseAddr("10.9.8.2")
	e.network.Apply(runtime.NetworkUpdate{
		Reset: true,
		Sets: []runtime.AddressSet{
			{Name: runtime.NodeSet, Add: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.9.8.0/24")}},
			{Name: runtime.ClusterSet, Add: []netip.Prefix{netip.MustParsePrefix("10.96.0.10/32")}},
		},
		Services: []runtime.Service{{
			Name: "ns/web", Addresses: []netip.Addr{netip.MustParseAddr("10.96.0.10")},
			Ports: []runtime.ServicePort{{Port: runtime.Port{Number: 80}, Endpoints: []netip.AddrPort{netip.MustParseAddrPort(other.tcp.Addr().String())}}},
		}},
		Pods: []runtime.PodRules{{Pod: "u1", Addresses: []netip.Addr{pod}}, {Pod: "u2", Addresses: []netip.Addr{web}}},
	})
	bounded := runtime.Network{Own: true, Addresses: []netip.Addr{pod}, Egress: runtime.Egress{Allow: "*", Limits: []string{"*"}}}
	free := bounded
	free.Egress.Limits = nil
	const refused, denied, answered = "Connection refused", "Permission denied", ""
	for _, c := range []struct {
		network *runtime.Network
		host    string
		port    string
		want    string
	}{
		{&bounded, "127.0.0.1", port(everywhere.tcp.Addr()), refused},
		{&bounded, "10.9.8.7", port(everywhere.tcp.Addr()), refused},
		{&bounded, "10.9.8.2", port(everywhere.tcp.Addr()), refused},
		{&bounded, "10.9.8.99", port(everywhere.tcp.Addr()), denied},
		{&bounded, "10.9.8.2", port(other.tcp.Addr()), answered},
		{&bounded, "10.96.0.10", "80", answered},
		{&free, "127.0.0.1", port(everywhere.tcp.Addr()), answered}, // so the ceiling is what protects the node
		{&free, "10.9.8.99", port(everywhere.tcp.Addr()), answered},
	} {
		at := net.JoinHostPort(c.host, c.port)
		out, errs := e.ask(t, "u1", *c.network, "dial", "tcp", at, "hello")
		if c.want != answered && !strings.Contains(errs, c.want) || c.want == answered && !strings.HasSuffix(out, " to "+at+"\nhello") {
			t.Errorf("%s with the limits %q: %q, %q; want %q", at, c.network.Egress.Limits, out, errs, c.want)
		}
	}
}

// TestPolicyCutsAGuest: a guest that sends for ever gets an error when a NetworkPolicy forbids what
// it does.
func TestPolicyCutsAGuest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := newEngine(t)
	r := start(t, e, guests.Build(t, "kitchen"), runtime.Spec{
		Of: runtime.Origin{Pod: "u1"}, Network: runtime.Network{Egress: runtime.Egress{Allow: l.Addr().String()}},
		Command: runtime.Command{Args: []string{"kitchen", "stream", l.Addr().String(), "1000000000"}},
	})
	c, err := l.Accept() // it reads nothing: the guest waits
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	e.network.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "u1", Egress: &runtime.Rules{}}}})
	exit := r.wait()
	took := time.Since(began)
	if _, errs := r.screen.text(); exit.Code != 1 || !strings.Contains(errs, "reset") {
		t.Errorf("exit %+v, %s", exit, errs)
	}
	if took > 200*time.Millisecond && (!raceDetector || took > 5*time.Second) {
		t.Errorf("the cut took %v", took)
	}
}
