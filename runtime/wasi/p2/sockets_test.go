package p2

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testnetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// Codes of wasi:sockets.
const (
	accessDenied   = bindings.NetworkErrorCodeAccessDenied
	invalidState   = bindings.NetworkErrorCodeInvalidState
	invalidArg     = bindings.NetworkErrorCodeInvalidArgument
	notInProgress  = bindings.NetworkErrorCodeNotInProgress
	conflict       = bindings.NetworkErrorCodeConcurrencyConflict
	wouldWait      = bindings.NetworkErrorCodeWouldBlock
	newSocketLimit = bindings.NetworkErrorCodeNewSocketLimit
)

func networked(t testing.TB, n *testnetwork.Network) *caller {
	t.Helper()
	return newCaller(t, wasi.Config{Network: n})
}

func address(text string) bindings.IPSocketAddress {
	return socketAddress(netip.MustParseAddrPort(text))
}

func (c *caller) network() bindings.Network {
	c.t.Helper()
	return must[bindings.Network](c.t)(c.b.InstanceNetwork.InstanceNetwork(c.ctx))
}

func (c *caller) tcp(ipv6 bool) bindings.TCPSocket {
	c.t.Helper()
	return must[bindings.TCPSocket](c.t)(c.b.TCPCreateSocket.CreateTCPSocket(c.ctx, family(ipv6)))
}

// listening makes a listening socket, and returns its address.
func (c *caller) listening(at string) (bindings.TCPSocket, bindings.IPSocketAddress) {
	c.t.Helper()
	s := c.tcp(strings.Contains(at, "["))
	n := c.network()
	defer n.Drop()
	if err := errors.Join(s.StartBind(c.ctx, n, address(at)), s.FinishBind(c.ctx), s.StartListen(c.ctx), s.FinishListen(c.ctx)); err != nil {
		c.t.Fatal(err)
	}
	return s, must[bindings.IPSocketAddress](c.t)(s.LocalAddress(c.ctx))
}

// block waits until a resource is ready, and drops the pollable.
func (c *caller) block(p bindings.Pollable, err error) {
	c.t.Helper()
	if err == nil {
		err = p.Block(c.ctx)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	p.Drop()
}

type connection struct {
	socket bindings.TCPSocket
	in     bindings.InputStream
	out    bindings.OutputStream
}

func (c connection) drop() {
	c.in.Drop()
	c.out.Drop()
	c.socket.Drop()
}

// connect connects to an address.
func (c *caller) connect(to bindings.IPSocketAddress) connection {
	c.t.Helper()
	s := c.tcp(to.Case == bindings.IPSocketAddressIPv6)
	n := c.network()
	defer n.Drop()
	if err := s.StartConnect(c.ctx, n, to); err != nil {
		c.t.Fatal(err)
	}
	for {
		both, err := s.FinishConnect(c.ctx)
		if err == nil {
			return connection{s, both.A, both.B}
		}
		c.want("finish-connect", err, wouldWait)
		c.block(s.Subscribe(c.ctx))
	}
}

func (c *caller) accept(l bindings.TCPSocket) connection {
	c.t.Helper()
	c.block(l.Subscribe(c.ctx))
	all, err := l.Accept(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return connection{all.A, all.B, all.C}
}

// TestTCPSockets has a guest connect to itself, and use all that streams of connections do.
func TestTCPSockets(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, to := c.listening(at)
		_, err := l.Accept(c.ctx)
		c.want("accept without a connection", err, wouldWait)
		client := c.connect(to)
		server := c.accept(l)
		if remote := must[bindings.IPSocketAddress](t)(client.socket.RemoteAddress(c.ctx)); remote != to {
			t.Errorf("connected to %v, want %v", remote, to)
		}
		if from, seen := must[bindings.IPSocketAddress](t)(client.socket.LocalAddress(c.ctx)), must[bindings.IPSocketAddress](t)(server.socket.RemoteAddress(c.ctx)); from != seen {
			t.Errorf("the client is %v, the server sees %v", from, seen)
		}
		if b, err := server.in.Read(c.ctx, 10); len(b) != 0 || err != nil {
			t.Errorf("read of nothing: %q, %v", b, err)
		}
		c.want("write", write(c.ctx, client.out, "one"), nil)
		c.want("blocking-write-and-flush", client.out.BlockingWriteAndFlush(c.ctx, []byte(" two")), nil)
		c.want("blocking-flush", client.out.BlockingFlush(c.ctx), nil)
		c.block(server.in.Subscribe(c.ctx))
		if n, err := server.out.BlockingSplice(c.ctx, server.in, 100); n != 7 || err != nil {
			t.Errorf("splice: %d, %v", n, err)
		}
		c.block(client.out.Subscribe(c.ctx))
		c.want("shutdown", server.socket.Shutdown(c.ctx, bindings.ShutdownTypeSend), nil)
		c.want("shutdown again", server.socket.Shutdown(c.ctx, bindings.ShutdownTypeSend), nil)
		c.want("write after shutdown", write(c.ctx, server.out, "x"), errClosed)
		if got := c.all(client.in); got != "one two" {
			t.Errorf("the client received %q", got)
		}
		c.want("write", write(c.ctx, client.out, "rest"), nil)
		c.want("shutdown of receiving", server.socket.Shutdown(c.ctx, bindings.ShutdownTypeReceive), nil)
		_, err = server.in.Read(c.ctx, 10)
		c.want("read after shutdown", err, errClosed)
		client.drop()
		server.drop()
		l.Drop()
		c.held()
	}
}

// TestDroppedStreamsEndDirections drops one stream of a connection after the other.
func TestDroppedStreamsEndDirections(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	l, to := c.listening("127.0.0.1:0")
	client, server := c.connect(to), c.accept(l)
	client.socket.Drop() // the streams keep it open
	c.want("write", write(c.ctx, client.out, "text"), nil)
	client.out.Drop()
	if got := c.all(server.in); got != "text" {
		t.Errorf("received %q", got)
	}
	c.want("write", write(c.ctx, server.out, "answer"), nil)
	server.out.Drop()
	if got := c.all(client.in); got != "answer" {
		t.Errorf("received %q", got)
	}
	client.in.Drop()
	server.in.Drop()
	server.socket.Drop()
	l.Drop()
	c.held()
}

// TestStatesOfTCPSockets calls functions in states in which they cannot work.
func TestStatesOfTCPSockets(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	n := c.network()
	l, to := c.listening("127.0.0.1:0")
	s := c.tcp(false)
	failing := func(want error, calls map[string]func() error) {
		t.Helper()
		for name, call := range calls {
			c.want(name, call(), want)
		}
	}
	finishes := map[string]func() error{
		"finish-bind":    func() error { return s.FinishBind(c.ctx) },
		"finish-listen":  func() error { return s.FinishListen(c.ctx) },
		"finish-connect": func() error { _, err := s.FinishConnect(c.ctx); return err },
	}
	failing(notInProgress, finishes)
	failing(invalidState, map[string]func() error{
		"start-listen, not bound": func() error { return s.StartListen(c.ctx) },
		"local-address":           func() error { _, err := s.LocalAddress(c.ctx); return err },
		"remote-address":          func() error { _, err := s.RemoteAddress(c.ctx); return err },
		"accept":                  func() error { _, err := s.Accept(c.ctx); return err },
		"shutdown":                func() error { return s.Shutdown(c.ctx, bindings.ShutdownTypeBoth) },
		"connect, listening":      func() error { return l.StartConnect(c.ctx, n, to) },
		"bind, listening":         func() error { return l.StartBind(c.ctx, n, to) },
		"listen, listening":       func() error { return l.StartListen(c.ctx) },
		"shutdown, listening":     func() error { return l.Shutdown(c.ctx, bindings.ShutdownTypeBoth) },
	})
	failing(invalidArg, map[string]func() error{
		"bind to IPv6":        func() error { return s.StartBind(c.ctx, n, address("[::1]:0")) },
		"bind to a group":     func() error { return s.StartBind(c.ctx, n, address("224.0.0.1:0")) },
		"connect to no port":  func() error { return s.StartConnect(c.ctx, n, address("127.0.0.1:0")) },
		"connect to anything": func() error { return s.StartConnect(c.ctx, n, address("0.0.0.0:1")) },
		"no backlog":          func() error { return s.SetListenBacklogSize(c.ctx, 0) },
		"no idle time":        func() error { return s.SetKeepAliveIdleTime(c.ctx, 0) },
		"no hop limit":        func() error { return s.SetHopLimit(c.ctx, 0) },
		"no buffer":           func() error { return s.SetReceiveBufferSize(c.ctx, 0) },
	})
	c.want("bind to another host's", s.StartBind(c.ctx, n, address("192.0.2.1:0")), bindings.NetworkErrorCodeAddressNotBindable)
	c.want("bind to an address in use", s.StartBind(c.ctx, n, to), bindings.NetworkErrorCodeAddressInUse)
	c.want("bind", s.StartBind(c.ctx, n, address("127.0.0.1:0")), nil)
	failing(conflict, map[string]func() error{
		"bind, binding":    func() error { return s.StartBind(c.ctx, n, to) },
		"connect, binding": func() error { return s.StartConnect(c.ctx, n, to) },
	})
	c.want("finish-bind", s.FinishBind(c.ctx), nil)
	failing(notInProgress, finishes)
	c.want("bind, bound", s.StartBind(c.ctx, n, address("127.0.0.1:0")), invalidState)
	c.want("set a time", s.SetKeepAliveIdleTime(c.ctx, uint64(1500*time.Millisecond)), nil)
	if d := must[uint64](t)(s.KeepAliveIdleTime(c.ctx)); d != uint64(2*time.Second) {
		t.Errorf("the idle time is %d", d)
	}
	c.want("start-connect", s.StartConnect(c.ctx, n, to), nil)
	c.want("connect, connecting", s.StartConnect(c.ctx, n, to), conflict)
	c.block(s.Subscribe(c.ctx))
	both, err := s.FinishConnect(c.ctx)
	c.want("finish-connect", err, nil)
	failing(notInProgress, finishes)
	failing(invalidState, map[string]func() error{
		"connect, connected": func() error { return s.StartConnect(c.ctx, n, to) },
		"backlog, connected": func() error { return s.SetListenBacklogSize(c.ctx, 1) },
	})
	connection{s, both.A, both.B}.drop()
	free, closed := c.listening("127.0.0.1:0")
	free.Drop()
	r := c.tcp(false)
	if err := r.StartConnect(c.ctx, n, closed); err == nil {
		c.block(r.Subscribe(c.ctx))
		_, err = r.FinishConnect(c.ctx)
		c.want("connect to a closed port", err, bindings.NetworkErrorCodeConnectionRefused)
	} else {
		c.want("connect to a closed port", err, bindings.NetworkErrorCodeConnectionRefused)
	}
	c.want("connect after that", r.StartConnect(c.ctx, n, to), invalidState)
	r.Drop()
	l.Drop()
	n.Drop()
	c.held()
}

// TestNetworkDecidesOnSockets refuses, and cuts.
func TestNetworkDecidesOnSockets(t *testing.T) {
	n := &testnetwork.Network{}
	c := networked(t, n)
	l, to := c.listening("127.0.0.1:0")
	client, server := c.connect(to), c.accept(l)
	n.Cut()
	_, err := client.in.BlockingRead(c.ctx, 10)
	for range 2 {
		var e bindings.StreamError
		if !errors.As(err, &e) || e.Case != bindings.StreamErrorLastOperationFailed {
			t.Fatalf("reading what was cut: %v", err)
		}
		code, err2 := c.b.Network.NetworkErrorCode(c.ctx, e.LastOperationFailed)
		if code != typed.Some(bindings.NetworkErrorCodeConnectionReset) || err2 != nil {
			t.Errorf("the error of what was cut is %v, %v", code, err2)
		}
		if of, err := c.b.Filesystem.FilesystemErrorCode(c.ctx, e.LastOperationFailed); of.Is || err != nil {
			t.Errorf("it is an error of a file: %v, %v", of, err)
		}
		e.LastOperationFailed.Drop()
		err = server.out.BlockingWriteAndFlush(c.ctx, []byte("x"))
	}
	n.OnConnect = func(runtime.Protocol, netip.AddrPort) (wasi.Route, error) { return wasi.Route{}, wasi.ErrAccess }
	s, handle := c.tcp(false), c.network()
	c.want("connecting to what is denied", s.StartConnect(c.ctx, handle, to), accessDenied)
	n.OnConnect = func(runtime.Protocol, netip.AddrPort) (wasi.Route, error) {
		return wasi.Route{}, wasi.ErrConnectionRefused
	}
	other := c.tcp(false)
	c.want("connecting to a Service without endpoints", other.StartConnect(c.ctx, handle, to), bindings.NetworkErrorCodeConnectionRefused)
	for _, r := range []typed.Resource{s, other, handle, l} {
		r.Drop()
	}
	client.drop()
	server.drop()
	c.held()
}

// TestSocketsOfAGuestAreBounded makes sockets until there is no room.
func TestSocketsOfAGuestAreBounded(t *testing.T) {
	c := newCaller(t, wasi.Config{Network: &testnetwork.Network{}, MaxDescriptors: 6})
	l, to := c.listening("127.0.0.1:0")
	peer, err := net.Dial("tcp", netip.AddrPortFrom(netip.AddrFrom4(to.IPv4.Address), to.IPv4.Port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	other := c.tcp(true)
	_, err = c.b.UDPCreateSocket.CreateUDPSocket(c.ctx, bindings.IPAddressFamilyIPv4)
	c.want("one socket too many", err, newSocketLimit)
	_, err = l.Accept(c.ctx)
	c.want("accepting one too many", err, newSocketLimit)
	other.Drop()
	c.accept(l).drop()
	l.Drop()
	c.held()
}

// TestKilledConnections kills a guest that reads, and one that writes.
func TestKilledConnections(t *testing.T) {
	for name, call := range map[string]func(c *caller, s connection) error{
		"blocking-read": func(c *caller, s connection) error { _, err := s.in.BlockingRead(c.ctx, 10); return err },
		"blocking-write": func(c *caller, s connection) error {
			for {
				if err := s.out.BlockingWriteAndFlush(c.ctx, make([]byte, 4096)); err != nil {
					return err
				}
			}
		},
		"blocking-flush": func(c *caller, s connection) error {
			for {
				n, err := s.out.CheckWrite(c.ctx)
				if err != nil {
					return err
				}
				if n == 0 {
					if err := s.out.BlockingFlush(c.ctx); err != nil {
						return err
					}
					continue
				}
				if err := s.out.Write(c.ctx, make([]byte, n)); err != nil {
					return err
				}
			}
		},
	} {
		c := networked(t, &testnetwork.Network{})
		l, to := c.listening("127.0.0.1:0")
		client := c.connect(to)
		time.AfterFunc(50*time.Millisecond, c.kill)
		c.want(name, call(c, client), wasi.ErrKilled)
		_ = l
	}
}

func (c *caller) udp(at string) bindings.UDPSocket {
	c.t.Helper()
	s := must[bindings.UDPSocket](c.t)(c.b.UDPCreateSocket.CreateUDPSocket(c.ctx, bindings.IPAddressFamilyIPv4))
	n := c.network()
	defer n.Drop()
	if err := errors.Join(s.StartBind(c.ctx, n, address(at)), s.FinishBind(c.ctx)); err != nil {
		c.t.Fatal(err)
	}
	return s
}

func TestUDPSockets(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	none := typed.Option[bindings.IPSocketAddress]{}
	unbound := must[bindings.UDPSocket](t)(c.b.UDPCreateSocket.CreateUDPSocket(c.ctx, bindings.IPAddressFamilyIPv6))
	_, err := unbound.Stream(c.ctx, none)
	c.want("stream, not bound", err, invalidState)
	unbound.Drop()
	a, b := c.udp("127.0.0.1:0"), c.udp("127.0.0.1:0")
	to := must[bindings.IPSocketAddress](t)(b.LocalAddress(c.ctx))
	_, err = a.RemoteAddress(c.ctx)
	c.want("remote-address, without one", err, invalidState)
	ofA, err := a.Stream(c.ctx, none)
	c.want("stream", err, nil)
	ofB, err := b.Stream(c.ctx, none)
	c.want("stream", err, nil)
	if list, err := ofB.A.Receive(c.ctx, 10); len(list) != 0 || err != nil {
		t.Errorf("received %v, %v", list, err)
	}
	list := []bindings.OutgoingDatagram{{Data: []byte("one"), RemoteAddress: typed.Some(to)}, {Data: []byte("two"), RemoteAddress: typed.Some(to)}}
	if _, err := ofA.B.Send(c.ctx, list); !errors.Is(err, errNoSendPermit) {
		t.Errorf("sending without a permit: %v", err)
	}
	if n := must[uint64](t)(ofA.B.CheckSend(c.ctx)); n == 0 {
		t.Error("no datagram can be sent")
	}
	if n, err := ofA.B.Send(c.ctx, list); n != 2 || err != nil {
		t.Errorf("sent %d, %v", n, err)
	}
	c.block(ofB.A.Subscribe(c.ctx))
	got, err := ofB.A.Receive(c.ctx, 10)
	if err != nil || len(got) != 2 || string(got[0].Data)+string(got[1].Data) != "onetwo" || got[0].RemoteAddress != must[bindings.IPSocketAddress](t)(a.LocalAddress(c.ctx)) {
		t.Errorf("received %v, %v", got, err)
	}
	send := func(s bindings.OutgoingDatagramStream, d bindings.OutgoingDatagram) error {
		must[uint64](t)(s.CheckSend(c.ctx))
		_, err := s.Send(c.ctx, []bindings.OutgoingDatagram{d})
		return err
	}
	c.want("sending to no one", send(ofA.B, bindings.OutgoingDatagram{}), invalidArg)
	c.want("sending to no port", send(ofA.B, bindings.OutgoingDatagram{RemoteAddress: typed.Some(address("127.0.0.1:0"))}), invalidArg)
	c.want("a large datagram", send(ofA.B, bindings.OutgoingDatagram{Data: make([]byte, 65536), RemoteAddress: typed.Some(to)}), bindings.NetworkErrorCodeDatagramTooLarge)
	connected, err := a.Stream(c.ctx, typed.Some(to))
	c.want("stream to an address", err, nil)
	c.want("sending by an old stream", send2(ofA.B, c.ctx), invalidState)
	c.want("sending to another", send(connected.B, bindings.OutgoingDatagram{RemoteAddress: typed.Some(address("127.0.0.1:1"))}), invalidArg)
	c.want("sending", send(connected.B, bindings.OutgoingDatagram{Data: []byte("three")}), nil)
	c.block(ofB.A.Subscribe(c.ctx))
	if got := must[[]bindings.IncomingDatagram](t)(ofB.A.Receive(c.ctx, 1)); len(got) != 1 || string(got[0].Data) != "three" {
		t.Errorf("received %v", got)
	}
	for _, r := range []typed.Resource{a, b, ofA.A, ofA.B, ofB.A, ofB.B, connected.A, connected.B} {
		r.Drop()
	}
	c.held()
}

func send2(s bindings.OutgoingDatagramStream, ctx context.Context) error {
	_, err := s.CheckSend(ctx)
	return err
}

// TestReceivingIsBounded receives more than a call returns.
func TestReceivingIsBounded(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	s := c.udp("127.0.0.1:0")
	both, err := s.Stream(c.ctx, typed.Option[bindings.IPSocketAddress]{})
	c.want("stream", err, nil)
	to := must[bindings.IPSocketAddress](t)(s.LocalAddress(c.ctx))
	peer, err := net.Dial("udp", netip.AddrPortFrom(netip.AddrFrom4(to.IPv4.Address), to.IPv4.Port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	for range 40 {
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	c.block(both.A.Subscribe(c.ctx))
	if got := must[[]bindings.IncomingDatagram](t)(both.A.Receive(c.ctx, 1<<63)); len(got) != maxDatagrams {
		t.Errorf("received %d datagrams in one call", len(got))
	}
}

func TestNameLookups(t *testing.T) {
	answers := map[string]error{
		"denied": wasi.ErrAccess, "none": wasi.ErrNotExist, "silent": wasi.ErrWouldBlock, "broken": wasi.ErrIO, "bad": wasi.ErrInvalid,
	}
	c := networked(t, &testnetwork.Network{OnLookup: func(_ context.Context, name string) ([]netip.Addr, error) {
		if err := answers[name]; err != nil {
			return nil, err
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, nil
	}})
	n := c.network()
	resolve := func(name string) (all []bindings.IPAddress, err error) {
		s, err := c.b.IPNameLookup.ResolveAddresses(c.ctx, n, name)
		if err != nil {
			return nil, err
		}
		defer s.Drop()
		c.block(s.Subscribe(c.ctx))
		for {
			next, err := s.ResolveNextAddress(c.ctx)
			if err != nil || !next.Is {
				return all, err
			}
			all = append(all, next.Value)
		}
	}
	all, err := resolve("name")
	if err != nil || len(all) != 2 || all[0].IPv4 != [4]uint8{192, 0, 2, 1} || all[1].IPv6 != [8]uint16{0x2001, 0xdb8, 0, 0, 0, 0, 0, 1} {
		t.Errorf("found %v, %v", all, err)
	}
	for name, want := range map[string]error{
		"denied": accessDenied, "none": bindings.NetworkErrorCodeNameUnresolvable, "bad": invalidArg, "": invalidArg, strings.Repeat("x", 254): invalidArg,
		"silent": bindings.NetworkErrorCodeTemporaryResolverFailure, "broken": bindings.NetworkErrorCodePermanentResolverFailure,
	} {
		_, err := resolve(name)
		c.want("resolving "+name, err, want)
	}
	n.Drop()
	c.held()
}

// TestEveryErrorHasANetworkCode translates every error of the host.
func TestEveryErrorHasANetworkCode(t *testing.T) {
	known := 0
	for _, e := range wasi.Errors() {
		var code bindings.NetworkErrorCode
		if !errors.As(networkError(e), &code) {
			t.Errorf("%v has no code", e)
		}
		if code != bindings.NetworkErrorCodeUnknown {
			known++
		}
	}
	if known != len(networkCodes) {
		t.Errorf("%d errors have a code of their own, want %d", known, len(networkCodes))
	}
	if err := networkError(wasi.ErrKilled); !errors.Is(err, wasi.ErrKilled) {
		t.Errorf("a kill became %v", err)
	}
}
