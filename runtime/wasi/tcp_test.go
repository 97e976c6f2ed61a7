package wasi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/hack/testnetwork"
	"github.com/krustlet-go/krustlet-wasi/podsync/address"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// socketGuest makes a guest with a network, and closes it at the test's end.
func socketGuest(t testing.TB, cfg wasi.Config) *wasi.Guest {
	t.Helper()
	cfg.Mounts = []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}
	g, err := wasi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.CloseInitial(), g.Close()); err != nil {
			t.Errorf("closing a guest: %v", err)
		}
	})
	return g
}

// must returns the value of a call that succeeds.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func closeObject(t testing.TB, o wasi.Object) {
	t.Helper()
	t.Cleanup(func() {
		if err := o.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
}

func tcp(t testing.TB, g *wasi.Guest, ipv6 bool) *wasi.TCP {
	t.Helper()
	s := must[*wasi.TCP](t)(g.NewTCP(ipv6))
	closeObject(t, s)
	return s
}

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// listening makes a listening socket at a loopback address.
func listening(t testing.TB, g *wasi.Guest, address string) (*wasi.TCP, netip.AddrPort) {
	t.Helper()
	a := at(address)
	s := tcp(t, g, a.Addr().Is6())
	if err := errors.Join(s.Bind(a), s.Listen()); err != nil {
		t.Fatal(err)
	}
	return s, must[netip.AddrPort](t)(s.Local())
}

// pair makes a connection of a guest with itself.
func pair(t testing.TB, g *wasi.Guest) (client, server *wasi.TCP) {
	t.Helper()
	l, address := listening(t, g, "127.0.0.1:0")
	client = tcp(t, g, false)
	if err := client.Connect(t.Context(), address, false); err != nil {
		t.Fatal(err)
	}
	server = must[*wasi.TCP](t)(l.Accept(t.Context(), false))
	closeObject(t, server)
	return client, server
}

func want(t testing.TB, what string, err, want error) {
	t.Helper()
	if reason := error(wasi.ErrorOf(err)); !errors.Is(err, want) && !errors.Is(reason, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func send(t testing.TB, s *wasi.TCP, text string) {
	t.Helper()
	if n, err := s.Send(t.Context(), [][]byte{[]byte(text)}, false); n != len(text) || err != nil {
		t.Errorf("sending: %d, %v", n, err)
	}
}

func receive(s *wasi.TCP, how wasi.Receive) (string, error) {
	b := make([]byte, 100)
	n, err := s.Receive(context.Background(), [][]byte{b}, how)
	return string(b[:n]), err
}

func TestTCP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		n := &testnetwork.Network{}
		g := socketGuest(t, wasi.Config{Network: n})
		l, to := listening(t, g, address)
		if to.Port() == 0 || to.Addr() != at(address).Addr() {
			t.Errorf("it listens at %s", to)
		}
		_, err := l.Accept(t.Context(), true)
		want(t, "accepting without a connection", err, wasi.ErrWouldBlock)
		c := tcp(t, g, to.Addr().Is6())
		_, err = c.Local()
		want(t, "the address of a socket without one", err, wasi.ErrState)
		if err := c.Connect(t.Context(), to, false); err != nil {
			t.Fatal(err)
		}
		s := must[*wasi.TCP](t)(l.Accept(t.Context(), false))
		closeObject(t, s)
		clientLocal, serverRemote := must[netip.AddrPort](t)(c.Local()), must[netip.AddrPort](t)(s.Remote())
		if clientLocal != serverRemote {
			t.Errorf("the client is %s, the server sees %s", clientLocal, serverRemote)
		}
		if remote, local := must[netip.AddrPort](t)(c.Remote()), must[netip.AddrPort](t)(s.Local()); remote != to || local != to {
			t.Errorf("the client is connected to %s, the server is %s, want %s", remote, local, to)
		}
		send(t, c, "hello")
		if got, err := receive(s, 0); got != "hello" || err != nil {
			t.Errorf("received %q, %v", got, err)
		}
		_, err = receive(s, wasi.DontWait)
		want(t, "receiving nothing", err, wasi.ErrWouldBlock)
		want(t, "ending", c.Shutdown(wasi.ShutdownSend), nil)
		if got, err := receive(s, 0); got != "" || err != nil {
			t.Errorf("the end: %q, %v", got, err)
		}
		_, err = c.Send(t.Context(), [][]byte{[]byte("x")}, false)
		want(t, "sending after the end", err, wasi.ErrPipe)
		if w := n.Watched(); len(w) != 2 {
			t.Errorf("%d connections are watched", len(w))
		}
		if traffic := g.Traffic(); traffic.Sent != 5 || traffic.Received != 5 {
			t.Errorf("traffic %+v", traffic)
		}
		want(t, "connecting again", c.Connect(t.Context(), to, false), wasi.ErrAlreadyConnected)
		want(t, "listening with a connection", c.Listen(), wasi.ErrState)
		want(t, "listening again", l.Listen(), wasi.ErrState)
		want(t, "binding again", l.Bind(to), wasi.ErrState)
	}
}

// TestTCPAddresses has addresses that no socket can be bound or connected to.
func TestTCPAddresses(t *testing.T) {
	g := socketGuest(t, wasi.Config{Network: &testnetwork.Network{}})
	for _, test := range []struct {
		address       string
		ipv6          bool
		bind, connect error
	}{
		{"[::1]:80", false, wasi.ErrFamily, wasi.ErrFamily},
		{"127.0.0.1:80", true, wasi.ErrFamily, wasi.ErrFamily},
		{"[::ffff:127.0.0.1]:80", true, wasi.ErrInvalid, wasi.ErrInvalid},
		{"224.0.0.1:80", false, wasi.ErrInvalid, wasi.ErrInvalid},
		{"255.255.255.255:80", false, wasi.ErrInvalid, wasi.ErrInvalid},
		{"[ff02::1]:80", true, wasi.ErrInvalid, wasi.ErrInvalid},
		{"192.0.2.1:0", false, wasi.ErrAddressNotAvailable, wasi.ErrInvalid},
		{"[2001:db8::1]:0", true, wasi.ErrAddressNotAvailable, wasi.ErrInvalid},
		{"0.0.0.0:0", false, nil, wasi.ErrInvalid},
		{"[::]:0", true, nil, wasi.ErrInvalid},
	} {
		want(t, "binding to "+test.address, tcp(t, g, test.ipv6).Bind(at(test.address)), test.bind)
		c := tcp(t, g, test.ipv6)
		want(t, "connecting to "+test.address, c.StartConnect(at(test.address)), test.connect)
		if c.State() != wasi.Unbound {
			t.Errorf("after %s the socket is in state %d", test.address, c.State())
		}
	}
	l, to := listening(t, g, "127.0.0.1:0")
	want(t, "an address that is in use", tcp(t, g, false).Bind(to), wasi.ErrAddressInUse)
	_ = l
	free, _ := listening(t, g, "127.0.0.1:0")
	closed := must[netip.AddrPort](t)(free.Local())
	g.Quiesce()
	c := tcp(t, g, false)
	want(t, "connecting to a closed port", c.Connect(t.Context(), closed, false), wasi.ErrConnectionRefused)
	want(t, "connecting again", c.Connect(t.Context(), closed, false), wasi.ErrState)
}

// TestNetworkDecides refuses each step.
func TestNetworkDecides(t *testing.T) {
	none := socketGuest(t, wasi.Config{})
	_, err := none.NewTCP(false)
	want(t, "a socket without a network", err, wasi.ErrAccess)
	_, err = none.NewUDP(false)
	want(t, "a socket without a network", err, wasi.ErrAccess)
	_, err = none.LookUp(t.Context(), "127.0.0.1")
	want(t, "a lookup without a network", err, wasi.ErrAccess)

	n := &testnetwork.Network{}
	g := socketGuest(t, wasi.Config{Network: n})
	l, to := listening(t, g, "127.0.0.1:0")
	n.OnBind = func(_ runtime.Protocol, a netip.AddrPort, listen bool) (netip.AddrPort, error) {
		if listen {
			return a, wasi.ErrAccess
		}
		return a, nil
	}
	want(t, "binding to a port", tcp(t, g, false).Bind(at("127.0.0.1:1")), wasi.ErrAccess)
	want(t, "listening at any port", tcp(t, g, false).Listen(), wasi.ErrAccess)
	ephemeral := tcp(t, g, false)
	want(t, "binding to any port", ephemeral.Bind(at("127.0.0.1:0")), nil)
	want(t, "listening at a port that the kernel chose", ephemeral.Listen(), wasi.ErrAccess)
	n.OnConnect = func(runtime.Protocol, netip.AddrPort) (wasi.Route, error) { return wasi.Route{}, wasi.ErrAccess }
	want(t, "connecting", tcp(t, g, false).Connect(t.Context(), to, false), wasi.ErrAccess)

	refuse := true
	n.OnAccept = func(_ runtime.Protocol, local, _ netip.AddrPort) error {
		if local != to {
			t.Errorf("a connection to %s", local)
		}
		if refuse {
			refuse = false
			return wasi.ErrAccess
		}
		return nil
	}
	peer := must[net.Conn](t)(net.Dial("tcp", to.String()))
	defer peer.Close()
	_, err = l.Accept(t.Context(), true)
	want(t, "accepting what is not allowed", err, wasi.ErrWouldBlock)
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the refused peer got %v", err)
	}
	other := must[net.Conn](t)(net.Dial("tcp", to.String()))
	defer other.Close()
	closeObject(t, must[*wasi.TCP](t)(l.Accept(t.Context(), false)))
}

// TestAddressesOfPods has the guest's loopback mean another address, and an address of a Service
// lead to a server.
func TestAddressesOfPods(t *testing.T) {
	pod, loopback, service := netip.MustParseAddr("127.9.8.7"), netip.MustParseAddr("127.0.0.1"), at("10.96.0.1:80")
	var server netip.AddrPort
	n := &testnetwork.Network{
		OnBind: func(_ runtime.Protocol, a netip.AddrPort, _ bool) (netip.AddrPort, error) {
			return netip.AddrPortFrom(pod, a.Port()), nil
		},
		OnConnect: func(_ runtime.Protocol, a netip.AddrPort) (wasi.Route, error) {
			if a == service {
				return wasi.Route{From: pod, To: server}, nil
			}
			return wasi.Route{From: pod, To: netip.AddrPortFrom(pod, a.Port())}, nil
		},
	}
	g := socketGuest(t, wasi.Config{Network: n})
	for _, bound := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		l, listens := listening(t, g, bound)
		if listens.Addr() != at(bound).Addr() {
			t.Errorf("a socket bound to %s has %s", bound, listens)
		}
		c := tcp(t, g, false)
		if err := c.Connect(t.Context(), netip.AddrPortFrom(loopback, listens.Port()), false); err != nil {
			t.Fatal(err)
		}
		if local := must[netip.AddrPort](t)(c.Local()); local.Addr() != loopback {
			t.Errorf("a connection to the loopback is from %s", local)
		}
		s := must[*wasi.TCP](t)(l.Accept(t.Context(), false))
		closeObject(t, s)
		seen := loopback
		if bound == "0.0.0.0:0" {
			seen = pod
		}
		if local, remote := must[netip.AddrPort](t)(s.Local()), must[netip.AddrPort](t)(s.Remote()); local.Addr() != seen || remote.Addr() != seen {
			t.Errorf("accepted at %s: %s from %s, want %s", bound, local, remote, seen)
		}
	}
	outside := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer outside.Close()
	server = outside.Addr().(*net.TCPAddr).AddrPort()
	c := tcp(t, g, false)
	if err := c.Connect(t.Context(), service, false); err != nil {
		t.Fatal(err)
	}
	if remote, local := must[netip.AddrPort](t)(c.Remote()), must[netip.AddrPort](t)(c.Local()); remote != service || local.Addr() != pod {
		t.Errorf("connected to a Service: %s from %s", remote, local)
	}
	peer := must[net.Conn](t)(outside.Accept())
	defer peer.Close()
	if from := peer.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); from != pod {
		t.Errorf("the server is connected from %s, want the pod's %s", from, pod)
	}
}

// TestCut cuts connections: both ends get a reset.
func TestCut(t *testing.T) {
	n := &testnetwork.Network{}
	g := socketGuest(t, wasi.Config{Network: n})
	outside := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer outside.Close()
	c := tcp(t, g, false)
	if err := c.Connect(t.Context(), outside.Addr().(*net.TCPAddr).AddrPort(), false); err != nil {
		t.Fatal(err)
	}
	peer := must[net.Conn](t)(outside.Accept())
	defer peer.Close()
	time.AfterFunc(10*time.Millisecond, func() {
		if cut := n.Cut(); cut != 1 {
			t.Errorf("%d were cut", cut)
		}
	})
	for range 2 {
		_, err := receive(c, 0)
		want(t, "receiving", err, wasi.ErrConnectionReset)
	}
	_, err := c.Send(t.Context(), [][]byte{[]byte("x")}, false)
	want(t, "sending", err, wasi.ErrConnectionReset)
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer got %v", err)
	}
	want(t, "connecting again", c.Connect(t.Context(), outside.Addr().(*net.TCPAddr).AddrPort(), false), wasi.ErrAlreadyConnected)
}

// TestKilledInSockets kills a guest in each call that waits.
func TestKilledInSockets(t *testing.T) {
	n := &testnetwork.Network{OnLookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	g := socketGuest(t, wasi.Config{Network: n})
	l, _ := listening(t, g, "127.0.0.1:0")
	client, _ := pair(t, g)
	u := udp(t, g, "127.0.0.1:0")
	full := tcp(t, g, false) // its peer accepts nothing more
	crowded, crowdedAt := listening(t, g, "127.0.0.1:0")
	want(t, "a backlog of one", crowded.SetBacklog(1), nil)
	for range 3 {
		c, err := net.DialTimeout("tcp", crowdedAt.String(), 20*time.Millisecond)
		if err == nil {
			defer c.Close()
		}
	}
	big := make([]byte, 32<<20)
	for name, call := range map[string]func(ctx context.Context) error{
		"accept":       func(ctx context.Context) error { _, err := l.Accept(ctx, false); return err },
		"connect":      func(ctx context.Context) error { return full.Connect(ctx, crowdedAt, false) },
		"receive":      func(ctx context.Context) error { _, err := client.Receive(ctx, [][]byte{big}, 0); return err },
		"send":         func(ctx context.Context) error { _, err := client.Send(ctx, [][]byte{big}, false); return err },
		"receive, UDP": func(ctx context.Context) error { _, err := u.Receive(ctx, [][]byte{big}, 0); return err },
		"lookup": func(ctx context.Context) error {
			lookup, err := g.LookUp(ctx, "name")
			if err != nil {
				return err
			}
			defer lookup.Close()
			return g.WaitFor(ctx, lookup)
		},
	} {
		ctx, kill := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, kill)
		began := time.Now()
		want(t, name, call(ctx), wasi.ErrKilled)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v to end", name, took)
		}
	}
}

// TestRoomOfConnections fills a connection by what Room allows: no such Send waits.
func TestRoomOfConnections(t *testing.T) {
	g := socketGuest(t, wasi.Config{Network: &testnetwork.Network{}})
	for _, buffer := range []uint64{0, 1, 1 << 16} {
		client, server := pair(t, g)
		if buffer > 0 {
			want(t, "a buffer", client.SetOption(wasi.SendBuffer, buffer), nil)
		}
		sent := 0
		for {
			n := must[int](t)(client.Room())
			if n == 0 {
				break
			}
			moved, err := client.Send(t.Context(), [][]byte{make([]byte, n)}, true)
			if moved != n || err != nil {
				t.Fatalf("sent %d of %d, %v", moved, n, err)
			}
			sent += n
		}
		if list := []wasi.Interest{{Object: client, Write: true}, {After: 0}}; g.Poll(t.Context(), list) != nil || list[0].Ready {
			t.Error("a full connection can be written to")
		}
		got := 0
		for got < sent {
			n, err := server.Receive(t.Context(), [][]byte{make([]byte, 1<<20)}, 0)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		if err := g.Poll(t.Context(), []wasi.Interest{{Object: client, Write: true}}); err != nil {
			t.Error(err)
		}
		if n := must[int](t)(client.Room()); n == 0 {
			t.Error("there is no room in an empty connection")
		}
	}
}

// TestSocketsAreBounded opens sockets until there is no room.
func TestSocketsAreBounded(t *testing.T) {
	files := wasi.NewFiles(100)
	g := socketGuest(t, wasi.Config{Network: &testnetwork.Network{}, MaxDescriptors: 6, Files: files})
	a, b := must[*wasi.TCP](t)(g.NewTCP(false)), must[*wasi.UDP](t)(g.NewUDP(false))
	_, err := g.NewTCP(true)
	want(t, "one socket too many", err, wasi.ErrTooManyOpen)
	if err := errors.Join(a.Close(t.Context()), b.Close(t.Context())); err != nil || files.Free() != 100 {
		t.Errorf("%d files are free, %v", files.Free(), err)
	}
}

// TestSocketOptions sets options to all kinds of values.
func TestSocketOptions(t *testing.T) {
	g := socketGuest(t, wasi.Config{Network: &testnetwork.Network{}})
	for _, ipv6 := range []bool{false, true} {
		s := tcp(t, g, ipv6)
		for o, test := range map[wasi.Option][]struct{ set, got uint64 }{
			wasi.KeepAlive:         {{1, 1}, {0, 0}, {7, 1}},
			wasi.KeepAliveIdle:     {{42, 42}, {1 << 60, 32767}},
			wasi.KeepAliveInterval: {{42, 42}, {1 << 60, 32767}},
			wasi.KeepAliveCount:    {{42, 42}, {1 << 60, 127}},
			wasi.HopLimit:          {{42, 42}, {255, 255}},
			wasi.ReceiveBuffer:     {{1 << 16, 1 << 16}},
			wasi.SendBuffer:        {{1 << 16, 1 << 16}},
		} {
			for _, v := range test {
				if err := s.SetOption(o, v.set); err != nil {
					t.Errorf("option %d, %d: %v", o, v.set, err)
				}
				if got := must[uint64](t)(s.Option(o)); got != v.got {
					t.Errorf("option %d is %d, want %d", o, got, v.got)
				}
			}
			if o != wasi.KeepAlive {
				want(t, "setting to 0", s.SetOption(o, 0), wasi.ErrInvalid)
			}
		}
		want(t, "a huge buffer", s.SetOption(wasi.SendBuffer, 1<<63), nil)
		if got := must[uint64](t)(s.Option(wasi.SendBuffer)); got > 1<<20 {
			t.Errorf("a huge buffer has %d bytes", got)
		}
		want(t, "no backlog", s.SetBacklog(0), wasi.ErrInvalid)
		want(t, "a huge backlog", s.SetBacklog(1<<63), nil)
	}
}

// TestQuiesceShutsSockets: no socket of the guest accepts after it.
func TestQuiesceShutsSockets(t *testing.T) {
	g := socketGuest(t, wasi.Config{Network: &testnetwork.Network{}})
	l, to := listening(t, g, "127.0.0.1:0")
	time.AfterFunc(10*time.Millisecond, g.Quiesce)
	_, err := l.Accept(t.Context(), false)
	want(t, "accepting", err, wasi.ErrInvalid)
	later, _ := listening(t, g, "127.0.0.1:0")
	_, err = later.Accept(t.Context(), false)
	want(t, "accepting with a socket made after it", err, wasi.ErrInvalid)
	if c, err := net.Dial("tcp", to.String()); err == nil {
		_ = c.Close()
		t.Error("a connection is accepted")
	}
}

// TestWaitingBesideGuests has many sockets of many guests waited for, without threads for them.
func TestWaitingBesideGuests(t *testing.T) {
	n := &testnetwork.Network{}
	const guests, each = 40, 10
	before, told := threads(t), make(chan int, 2*guests*each)
	var peers []*wasi.TCP
	for i := range guests {
		g := socketGuest(t, wasi.Config{Network: n})
		for range each {
			client, server := pair(t, g)
			for _, s := range []*wasi.TCP{client, server} {
				if _, err := s.Watch(false, func() { told <- i }); err != nil {
					t.Fatal(err)
				}
			}
			peers = append(peers, client, server)
		}
	}
	if now := threads(t); now > before+20 {
		t.Errorf("%d threads, %d before", now, before)
	}
	for _, s := range peers {
		send(t, s, "x")
	}
	for range peers {
		<-told
	}
	stopped := must[*wasi.Watch](t)(peers[0].Watch(false, func() { told <- 0 })) // it may be told at once, as a byte is there
	stopped.Stop()
	eventually.True(t, "all are told once", func() bool { return len(told) <= 1 })
}

func threads(t *testing.T) int {
	t.Helper()
	status, err := io.ReadAll(must[io.Reader](t)(openStatus()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if name, value, _ := strings.Cut(line, ":"); name == "Threads" {
			return int(must[int64](t)(parse(strings.TrimSpace(value))))
		}
	}
	t.Fatal("the kernel does not say how many threads there are")
	return 0
}

// TestAddressesByARoute: a machine has the addresses of pods only by a route. Sockets of their pod
// bind to them and connect from them, and sockets of others cannot.
func TestAddressesByARoute(t *testing.T) {
	if !ownnetwork.Enter(t) {
		return
	}
	for _, test := range []struct{ prefix, pod string }{{"10.9.8.0/24", "10.9.8.7"}, {"fd00:9::/64", "fd00:9::7"}} {
		prefix, pod := netip.MustParsePrefix(test.prefix), netip.MustParseAddr(test.pod)
		if err := address.MakeLocal(prefix); err != nil {
			t.Fatal(err)
		}
		n := &testnetwork.Network{OwnPrefix: prefix, OnConnect: func(_ runtime.Protocol, to netip.AddrPort) (wasi.Route, error) {
			return wasi.Route{From: pod, To: to}, nil
		}}
		g := socketGuest(t, wasi.Config{Network: n})
		l, to := listening(t, g, netip.AddrPortFrom(pod, 0).String())
		c := tcp(t, g, pod.Is6())
		if err := c.Connect(t.Context(), to, false); err != nil {
			t.Fatalf("connecting to %s: %v", to, err)
		}
		s := must[*wasi.TCP](t)(l.Accept(t.Context(), false))
		closeObject(t, s)
		if from := must[netip.AddrPort](t)(s.Remote()); from.Addr() != pod {
			t.Errorf("connected from %s, want %s", from, pod)
		}
		u := must[*wasi.UDP](t)(g.NewUDP(pod.Is6()))
		closeObject(t, u)
		if _, err := u.Send(t.Context(), datagram("x"), to, false); err != nil {
			t.Errorf("a datagram from %s: %v", pod, err)
		}
	}
	other := socketGuest(t, wasi.Config{Network: &testnetwork.Network{}})
	want(t, "an address that is not the pod's own", tcp(t, other, true).Bind(at("[fd00:9::7]:0")), wasi.ErrAddressNotAvailable)
}
