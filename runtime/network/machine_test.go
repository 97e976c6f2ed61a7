package network

import (
	"net"
	"net/netip"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// docs/security.md: "What listens at all addresses of the machine is not reached at the addresses
// of pods either."
// TestProgramsOfTheMachine: what listens at all addresses of the machine is behind the addresses of
// pods, too. A guest with a ceiling does not reach it there; one without does.
func TestProgramsOfTheMachine(t *testing.T) {
	own := netip.MustParseAddr("127.0.0.1") // any address of the machine may be a pod's: ranges inside 127.0.0.0/8 are
	c := newCluster(t, runtime.NetworkUpdate{Reset: true,
		Sets: []runtime.AddressSet{{Name: runtime.NodeSet, Add: prefixes("127.0.0.9")}},
		Pods: []runtime.PodRules{{Pod: "uid", Addresses: []netip.Addr{own}}, {Pod: "other", Addresses: []netip.Addr{ip("127.0.0.2")}}},
	})
	spec := runtime.Network{Addresses: []netip.Addr{own}, Own: true, Egress: runtime.Egress{Allow: "*", Limits: []string{"* 127.0.0.0/8"}}}
	n, err := c.New("uid", spec)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	spec.Egress.Limits = nil
	free, err := c.New("uid", spec)
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()

	everywhere, err := net.Listen("tcp4", "0.0.0.0:0") //nolint:gosec // it accepts nothing, and ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer everywhere.Close()
	datagrams, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	pods, err := net.Listen("tcp4", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pods.Close()
	port := func(a net.Addr) uint16 { return netip.MustParseAddrPort(a.String()).Port() }
	for _, tt := range []struct {
		what string
		p    runtime.Protocol
		port uint16
		want error
	}{
		{"a program at all addresses", runtime.TCP, port(everywhere.Addr()), wasi.ErrConnectionRefused},
		{"a program at all addresses", runtime.UDP, port(datagrams.LocalAddr()), wasi.ErrConnectionRefused},
		{"a pod", runtime.TCP, port(pods.Addr()), nil},
	} {
		for _, a := range []string{"127.0.0.1", "127.0.0.2"} {
			_, err := n.Connect(tt.p, netip.AddrPortFrom(ip(a), tt.port))
			wants(t, tt.what+" at "+a, err, tt.want)
			_, err = free.Connect(tt.p, netip.AddrPortFrom(ip(a), tt.port))
			wants(t, tt.what+" without a ceiling at "+a, err, nil)
		}
	}
}

// TestTakenEverywhere6 is the same for IPv6, where a socket may be for IPv4, too.
func TestTakenEverywhere6(t *testing.T) {
	for _, network := range []string{"tcp", "tcp6"} {
		l, err := net.Listen(network, "[::]:0") //nolint:gosec // it accepts nothing, and ends with the test
		if err != nil {
			t.Skipf("the machine has no IPv6: %v", err)
		}
		at := netip.MustParseAddrPort(l.Addr().String())
		if !takenEverywhere(runtime.TCP, at) {
			t.Errorf("%s: the port is not taken for IPv6", network)
		}
		if got := takenEverywhere(runtime.TCP, netip.AddrPortFrom(ip("127.0.0.1"), at.Port())); got != (network == "tcp") {
			t.Errorf("%s: the port is taken for IPv4: %v", network, got)
		}
		_ = l.Close()
		if takenEverywhere(runtime.TCP, at) {
			t.Errorf("%s: the port is taken when nothing listens", network)
		}
	}
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("the machine has no IPv6: %v", err)
	}
	defer l.Close()
	if takenEverywhere(runtime.TCP, netip.MustParseAddrPort(l.Addr().String())) {
		t.Error("a socket at one address takes the port at all")
	}
}

func BenchmarkTakenEverywhere(b *testing.B) {
	for b.Loop() {
		if takenEverywhere(runtime.TCP, netip.AddrPortFrom(ip("127.0.0.1"), 65001)) {
			b.Fatal("the port is taken")
		}
	}
}
