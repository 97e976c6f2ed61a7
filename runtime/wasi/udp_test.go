package wasi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testnetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func openStatus() (io.Reader, error)            { return os.Open("/proc/self/status") }
func parse(s string) (int64, error)             { return strconv.ParseInt(s, 10, 64) }
func datagram(text string) [][]byte             { return [][]byte{[]byte(text)} }
func nowhere() (none netip.AddrPort)            { return none }
func addressOf(c net.PacketConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// udp makes a socket, which is bound if there is an address.
func udp(t testing.TB, g *wasi.Guest, address string) *wasi.UDP {
	t.Helper()
	u := must[*wasi.UDP](t)(g.NewUDP(address != "" && at(address).Addr().Is6()))
	closeObject(t, u)
	if address != "" {
		if err := u.Bind(at(address)); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func outside(t testing.TB) net.PacketConn {
	t.Helper()
	c := must[net.PacketConn](t)(net.ListenPacket("udp", "127.0.0.1:0"))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// next receives a datagram.
func next(t testing.TB, u *wasi.UDP) (string, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 100)
	d, err := u.Receive(t.Context(), [][]byte{b}, 0)
	if err != nil {
		t.Fatalf("receiving: %v", err)
	}
	return string(b[:d.Size]), d.From
}

func TestUDP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		g := socketGuest(t, wasi.Config{Network: &testnetwork.Network{}})
		server, client := udp(t, g, address), must[*wasi.UDP](t)(g.NewUDP(at(address).Addr().Is6()))
		closeObject(t, client)
		_, err := client.Receive(t.Context(), datagram("x"), 0)
		want(t, "receiving without a port", err, wasi.ErrState)
		_, err = server.Receive(t.Context(), datagram("x"), wasi.DontWait)
		want(t, "receiving nothing", err, wasi.ErrWouldBlock)
		to := must[netip.AddrPort](t)(server.Local())
		want(t, "binding again", server.Bind(at(address)), wasi.ErrState)
		if _, err := client.Send(t.Context(), datagram("ping"), to, false); err != nil {
			t.Fatal(err)
		}
		text, from := next(t, server)
		if text != "ping" || from.Port() != must[netip.AddrPort](t)(client.Local()).Port() {
			t.Errorf("received %q from %s", text, from)
		}
		if _, err := server.Send(t.Context(), datagram("pong"), from, false); err != nil {
			t.Fatal(err)
		}
		if text, from := next(t, client); text != "pong" || from != to {
			t.Errorf("received %q from %s", text, from)
		}
		_, err = client.Send(t.Context(), datagram("x"), nowhere(), false)
		want(t, "sending to no one", err, wasi.ErrNoDestination)
		_, err = client.Send(t.Context(), [][]byte{make([]byte, 65536)}, to, false)
		want(t, "a large datagram", err, wasi.ErrMessageSize)
		_, err = client.Send(t.Context(), [][]byte{make([]byte, 65535)}, to, false)
		want(t, "a datagram that is too large with its header", err, wasi.ErrMessageSize)
		want(t, "parting without a peer", client.Disconnect(), wasi.ErrState)
		want(t, "connecting", client.Connect(to), nil)
		if remote := must[netip.AddrPort](t)(client.Remote()); remote != to {
			t.Errorf("connected to %s", remote)
		}
		_, err = client.Send(t.Context(), datagram("x"), netip.AddrPortFrom(to.Addr(), 1), false)
		want(t, "sending to another", err, wasi.ErrAlreadyConnected)
		for _, to := range []netip.AddrPort{to, nowhere()} {
			if _, err := client.Send(t.Context(), datagram("connected"), to, false); err != nil {
				t.Error(err)
			}
			if text, _ := next(t, server); text != "connected" {
				t.Errorf("received %q", text)
			}
		}
		want(t, "parting", client.Disconnect(), nil)
		_, err = client.Remote()
		want(t, "the peer after that", err, wasi.ErrNotConnected)
		if got := g.Traffic(); got.Sent != got.Received || got.Sent < 26 {
			t.Errorf("traffic %+v", got)
		}
	}
}

// TestAnswersOfAService sends datagrams to a Service: answers come from its address, and all go to
// one endpoint.
func TestAnswersOfAService(t *testing.T) {
	service, endpoints := at("10.96.0.10:53"), []net.PacketConn{outside(t), outside(t)}
	asked := 0
	n := &testnetwork.Network{
		OnConnect: func(_ runtime.Protocol, to netip.AddrPort) (wasi.Route, error) {
			asked++
			if to != service {
				return wasi.Route{To: to}, nil
			}
			return wasi.Route{To: addressOf(endpoints[asked%2])}, nil
		},
		OnAccept: func(runtime.Protocol, netip.AddrPort, netip.AddrPort) error { return wasi.ErrAccess },
	}
	g := socketGuest(t, wasi.Config{Network: n})
	for _, connected := range []bool{false, true} {
		u := must[*wasi.UDP](t)(g.NewUDP(false))
		closeObject(t, u)
		to := service
		asked = 0
		if connected {
			want(t, "connecting", u.Connect(service), nil)
			to = nowhere()
		}
		for range 3 {
			if _, err := u.Send(t.Context(), datagram("?"), to, false); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 10)
			_, from, err := endpoints[1].ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			// What others send is not an answer, and not allowed here.
			if _, err := endpoints[0].WriteTo([]byte("lie"), from); err != nil {
				t.Fatal(err)
			}
			if _, err := endpoints[1].WriteTo([]byte("!"), from); err != nil {
				t.Fatal(err)
			}
			if text, from := next(t, u); text != "!" || from != service {
				t.Errorf("received %q from %s", text, from)
			}
		}
		if asked != 1 {
			t.Errorf("the way was asked for %d times", asked)
		}
		if cut := n.Cut(); cut == 0 {
			t.Error("no flow is watched")
		}
		n.OnConnect, asked = refuse(n.OnConnect), 1
		_, err := u.Send(t.Context(), datagram("?"), to, false)
		want(t, "sending after a cut", err, wasi.ErrAccess)
		n.OnConnect = allow
	}
}

// TestLoopbackOfPods: the network hears of sockets at the guest's loopback, until they are closed.
func TestLoopbackOfPods(t *testing.T) {
	bound := map[netip.AddrPort]bool{}
	n := &testnetwork.Network{
		OnBind: func(_ runtime.Protocol, a netip.AddrPort, listen bool) (netip.AddrPort, error) {
			if listen && a.Port() != 0 {
				bound[a] = true
			}
			return a, nil
		},
		OnUnbind: func(_ runtime.Protocol, local netip.AddrPort) { delete(bound, local) },
	}
	g := socketGuest(t, wasi.Config{Network: n})
	_, taken := listening(t, g, "127.0.0.1:0")
	n.OnUnbind(runtime.TCP, taken) // as if it were at another address
	for range 2 {
		want(t, "binding to a port that is taken", tcp(t, g, false).Bind(taken), wasi.ErrAddressInUse)
		if len(bound) != 0 {
			t.Errorf("the network keeps %v for a socket that has no port", bound)
		}
	}
	u, l := must[*wasi.UDP](t)(g.NewUDP(false)), must[*wasi.TCP](t)(g.NewTCP(false))
	if err := errors.Join(u.Bind(at("127.0.0.1:0")), l.Bind(at("127.0.0.1:0")), l.Listen()); err != nil {
		t.Fatal(err)
	}
	c := tcp(t, g, false)
	if err := c.Connect(t.Context(), must[netip.AddrPort](t)(l.Local()), false); err != nil {
		t.Fatal(err)
	}
	accepted := must[*wasi.TCP](t)(l.Accept(t.Context(), false))
	if err := accepted.Close(t.Context()); err != nil || len(bound) != 2 {
		t.Errorf("the network knows of %v, %v", bound, err)
	}
	if err := errors.Join(u.Close(t.Context()), l.Close(t.Context())); err != nil || len(bound) != 0 {
		t.Errorf("after they were closed, the network knows of %v, %v", bound, err)
	}
}

type connect = func(runtime.Protocol, netip.AddrPort) (wasi.Route, error)

var allow connect

func refuse(as connect) connect {
	allow = as
	return func(runtime.Protocol, netip.AddrPort) (wasi.Route, error) { return wasi.Route{}, wasi.ErrAccess }
}

// TestServersAnswer: a guest that may connect to nothing can answer who was allowed to ask.
func TestServersAnswer(t *testing.T) {
	client, other := outside(t), outside(t)
	n := &testnetwork.Network{
		OnConnect: func(runtime.Protocol, netip.AddrPort) (wasi.Route, error) { return wasi.Route{}, wasi.ErrAccess },
		OnAccept: func(_ runtime.Protocol, _, from netip.AddrPort) error {
			if from != addressOf(client) {
				return wasi.ErrAccess
			}
			return nil
		},
	}
	g := socketGuest(t, wasi.Config{Network: n})
	u := udp(t, g, "127.0.0.1:0")
	local := must[netip.AddrPort](t)(u.Local())
	for _, c := range []net.PacketConn{other, client} {
		if _, err := c.WriteTo([]byte("?"), net.UDPAddrFromAddrPort(local)); err != nil {
			t.Fatal(err)
		}
	}
	_, from := next(t, u)
	if from != addressOf(client) {
		t.Errorf("a datagram from %s", from)
	}
	if _, err := u.Send(t.Context(), datagram("!"), from, false); err != nil {
		t.Errorf("answering: %v", err)
	}
	_, err := u.Send(t.Context(), datagram("!"), addressOf(other), false)
	want(t, "sending to another", err, wasi.ErrAccess)
	n.Cut()
	_, err = u.Send(t.Context(), datagram("!"), from, false)
	want(t, "answering after a cut", err, wasi.ErrAccess)
}

// TestFlowsAreBounded sends to more addresses than the host keeps.
func TestFlowsAreBounded(t *testing.T) {
	n := &testnetwork.Network{}
	g := socketGuest(t, wasi.Config{Network: n})
	sockets := []*wasi.UDP{udp(t, g, "127.0.0.1:0"), udp(t, g, "127.0.0.1:0")}
	for i := range 5000 {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 9)
		if _, err := sockets[i%2].Send(t.Context(), datagram("x"), to, false); err != nil {
			t.Fatal(err)
		}
	}
	if watched := len(n.Watched()); watched != 4096 {
		t.Errorf("%d flows are kept", watched)
	}
	third := udp(t, g, "127.0.0.1:0")
	if _, err := third.Send(t.Context(), datagram("x"), must[netip.AddrPort](t)(sockets[0].Local()), false); err != nil {
		t.Errorf("without room for a flow: %v", err)
	}
	if text, from := next(t, sockets[0]); text != "x" || from != must[netip.AddrPort](t)(third.Local()) {
		t.Errorf("received %q from %s", text, from)
	}
}

func TestLookups(t *testing.T) {
	answer := make(chan struct{})
	n := &testnetwork.Network{OnLookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
		select {
		case <-answer:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if name == "none" {
			return nil, nil
		}
		return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("fe80::1%3")}, nil
	}}
	g := socketGuest(t, wasi.Config{Network: n})
	var all []*wasi.Lookup
	for range 64 {
		all = append(all, must[*wasi.Lookup](t)(g.LookUp(t.Context(), "name")))
	}
	_, err := g.LookUp(t.Context(), "name")
	want(t, "one lookup too many", err, wasi.ErrNoBuffers)
	_, err = all[0].Result()
	want(t, "the result before it is there", err, wasi.ErrWouldBlock)
	all[1].Close()
	none := must[*wasi.Lookup](t)(g.LookUp(t.Context(), "none"))
	close(answer)
	if err := errors.Join(g.WaitFor(t.Context(), all[0]), g.WaitFor(t.Context(), none)); err != nil {
		t.Fatal(err)
	}
	found, err := all[0].Result()
	if text := fmt.Sprint(found); text != "[192.0.2.1 fe80::1]" || err != nil {
		t.Errorf("found %s, %v", text, err)
	}
	_, err = none.Result()
	want(t, "a name without addresses", err, wasi.ErrNotExist)
}
