package p3_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testnetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// Codes of wasi:sockets.
const (
	accessDenied    = int(bindings.SocketsErrorCodeAccessDenied)
	invalidState    = int(bindings.SocketsErrorCodeInvalidState)
	invalidArgument = int(bindings.SocketsErrorCodeInvalidArgument)
	refused         = int(bindings.SocketsErrorCodeConnectionRefused)
	reset           = int(bindings.SocketsErrorCodeConnectionReset)
	broken          = int(bindings.SocketsErrorCodeConnectionBroken)
)

func networked(t testing.TB, n *testnetwork.Network) *guest {
	t.Helper()
	return newGuest(t, wasi.Config{Network: n})
}

// to is an address as core values.
func to(text string) []int {
	a := netip.MustParseAddrPort(text)
	all := make([]int, 12)
	all[1] = int(a.Port())
	if a.Addr().Is4() {
		for i, b := range a.Addr().As4() {
			all[2+i] = int(b)
		}
		return all
	}
	b := a.Addr().As16()
	all[0] = 1
	for i := range 8 {
		all[3+i] = int(binary.BigEndian.Uint16(b[2*i:]))
	}
	return all
}

// addressAt is an address in the guest's memory.
func (g *guest) addressAt(at int) string {
	b := g.get(at, 32)
	ip, port := netip.AddrFrom4([4]byte(b[6:10])), binary.LittleEndian.Uint16(b[4:])
	if b[0] == 1 {
		var six [16]byte
		for i := range 8 {
			binary.BigEndian.PutUint16(six[2*i:], binary.LittleEndian.Uint16(b[12+2*i:]))
		}
		ip = netip.AddrFrom16(six)
	}
	return netip.AddrPortFrom(ip, port).String()
}

// socket makes a socket: kind is tcp or udp.
func (g *guest) socket(kind string, ipv6 int) int {
	g.t.Helper()
	g.want(fine, kind+"-create", ipv6)
	return g.u32(addrResult + 4)
}

func (g *guest) local(kind string, s int) string {
	g.t.Helper()
	g.want(fine, kind+"-get-local-address", s)
	return g.addressAt(addrResult + 4)
}

// listening makes a listening socket, and returns its stream and address.
func (g *guest) listening(at string) (socket, stream int, address string) {
	g.t.Helper()
	ipv6 := 0
	if strings.Contains(at, "[") {
		ipv6 = 1
	}
	socket = g.socket("tcp", ipv6)
	g.want(fine, "tcp-bind", with(socket, to(at))...)
	g.want(fine, "tcp-listen", socket)
	return socket, g.u32(addrResult + 4), g.local("tcp", socket)
}

func (g *guest) connect(at string) int {
	g.t.Helper()
	ipv6 := 0
	if strings.Contains(at, "[") {
		ipv6 = 1
	}
	s := g.socket("tcp", ipv6)
	g.want(fine, "tcp-connect", with(s, to(at))...)
	return s
}

// accepted takes a connection.
func (g *guest) accepted(stream int) int {
	g.t.Helper()
	if r := g.call("tcps.read", stream, addrData, 1); r != 1<<4|completed {
		g.t.Fatalf("accepting: %#x", r)
	}
	return g.u32(addrData)
}

// sender begins to send, and returns the stream's end and the future.
func (g *guest) sender(socket int) (w, future int) {
	g.t.Helper()
	r, w := g.pair()
	return w, g.call("tcp-send", socket, r)
}

func (g *guest) receiver(socket int) (r, future int) {
	g.t.Helper()
	g.call("tcp-receive", socket, addrResult)
	return g.ends()
}

// TestTCPStreams has a guest connect to itself.
func TestTCPStreams(t *testing.T) {
	n := &testnetwork.Network{}
	g := networked(t, n)
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, connections, address := g.listening(at)
		client := g.connect(address)
		server := g.accepted(connections)
		g.want(fine, "tcp-get-remote-address", server)
		if from := g.addressAt(addrResult + 4); from != g.local("tcp", client) {
			t.Errorf("the server is connected from %s, the client is %s", from, g.local("tcp", client))
		}
		text := strings.Repeat("0123456789", 20_000)
		w, sent := g.sender(client)
		r, received := g.receiver(server)
		at, _ := g.put([]byte(text))
		var got []byte
		for from := 0; from < len(text); {
			moved := g.call("bytes.write", w, at+from, min(len(text)-from, 50_000)) >> 4
			from += moved
			for len(got) < from {
				n := g.call("bytes.read", r, addrData, dataSize) >> 4
				got = append(got, g.get(addrData, n)...)
			}
		}
		if string(got) != text {
			t.Errorf("received %d bytes, want %d", len(got), len(text))
		}
		g.call("bytes.drop-writable", w)
		if code := g.outcome("socket-future", sent); code != fine {
			t.Errorf("sending ended with %d", code)
		}
		if rest := g.all(r, 100); len(rest) != 0 {
			t.Errorf("received %q after the end", rest)
		}
		if code := g.outcome("socket-future", received); code != fine {
			t.Errorf("receiving ended with %d", code)
		}
		for range 2 { // both functions work once
			_, again := g.sender(client)
			if code := g.outcome("socket-future", again); code != invalidState {
				t.Errorf("sending again: %d", code)
			}
			_, again = g.receiver(server)
			if code := g.outcome("socket-future", again); code != invalidState {
				t.Errorf("receiving again: %d", code)
			}
		}
		g.call("bytes.drop-readable", r)
		for _, s := range []int{client, server, l} {
			g.call("drop-tcp", s)
		}
		g.call("tcps.drop-readable", connections)
	}
	if left := len(n.Watched()); left != 0 {
		t.Errorf("%d connections are left", left)
	}
	if g.host.Open() != 0 {
		t.Errorf("%d streams are left", g.host.Open())
	}
}

// TestPartsOfReads reads what came in small parts, and asks by reads of nothing.
func TestPartsOfReads(t *testing.T) {
	g := networked(t, &testnetwork.Network{})
	_, connections, address := g.listening("127.0.0.1:0")
	peer, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	r, _ := g.receiver(g.accepted(connections))
	if _, err := peer.Write([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	if n := g.call("bytes.read", r, addrData, 0); n != 0 {
		t.Errorf("a read of nothing: %#x", n)
	}
	var got []byte
	for len(got) < 10 {
		n := g.call("bytes.read", r, addrData, 3) >> 4
		got = append(got, g.get(addrData, n)...)
	}
	if string(got) != "0123456789" {
		t.Errorf("received %q", got)
	}
	if n := g.call("bytes.read-async", r, addrData, 3); n != blocked {
		t.Errorf("a read of what has not come: %#x", n)
	}
	if _, err := peer.Write([]byte("later")); err != nil {
		t.Fatal(err)
	}
	if n := g.waitFor(r) >> 4; string(g.get(addrData, n)) != "lat" {
		t.Errorf("received %q later", g.get(addrData, n))
	}
	if rest := g.call("bytes.read", r, addrData, 100) >> 4; string(g.get(addrData, rest)) != "er" {
		t.Errorf("the rest is %q", g.get(addrData, rest))
	}
}

// TestSocketErrors has each function fail.
func TestSocketErrors(t *testing.T) {
	n := &testnetwork.Network{}
	g := networked(t, n)
	l, _, address := g.listening("127.0.0.1:0")
	s := g.socket("tcp", 0)
	g.want(invalidArgument, "tcp-bind", with(s, to("[::1]:0"))...)
	g.want(invalidArgument, "tcp-connect", with(s, to("127.0.0.1:0"))...)
	g.want(int(bindings.SocketsErrorCodeAddressInUse), "tcp-bind", with(s, to(address))...)
	g.want(int(bindings.SocketsErrorCodeAddressNotBindable), "tcp-bind", with(s, to("192.0.2.1:0"))...)
	g.want(invalidState, "tcp-get-local-address", s)
	g.want(invalidState, "tcp-get-remote-address", s)
	g.want(invalidState, "tcp-listen", l)
	g.want(invalidState, "tcp-connect", with(l, to(address))...)
	g.want(invalidArgument, "tcp-set-keep-alive-idle-time", s, 0)
	_, sent := g.sender(s)
	if code := g.outcome("socket-future", sent); code != invalidState {
		t.Errorf("sending without a connection: %d", code)
	}
	_, received := g.receiver(s)
	if code := g.outcome("socket-future", received); code != invalidState {
		t.Errorf("receiving without a connection: %d", code)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	g.want(refused, "tcp-connect", with(s, to(free.Addr().String()))...)
	g.want(invalidState, "tcp-connect", with(s, to(address))...)
}

// TestConnectLater connects while other things go on, and gives up.
func TestConnectLater(t *testing.T) {
	g := networked(t, &testnetwork.Network{})
	full, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	shut(t, full)
	for range 2 {
		if c, err := net.DialTimeout("tcp", full.Addr().String(), 20*time.Millisecond); err == nil {
			defer c.Close()
		}
	}
	s := g.socket("tcp", 0)
	params := make([]byte, 40)
	a := full.Addr().(*net.TCPAddr).AddrPort()
	binary.LittleEndian.PutUint32(params, uint32(s))
	binary.LittleEndian.PutUint16(params[8:], a.Port())
	copy(params[10:], a.Addr().AsSlice())
	at, _ := g.put(params)
	status := g.call("tcp-connect-async", at, addrResult)
	const started = 1
	if status&15 != started {
		t.Fatalf("connecting has the status %#x", status)
	}
	call := status >> 4
	if r := g.call("cancel", call); r != 4 { // cancelled before it returned
		t.Errorf("cancelling: %d", r)
	}
	g.call("drop-subtask", call)
	g.want(invalidState, "tcp-connect", with(s, to(a.String()))...)
}

// shut sets the backlog of a listening socket to the least.
func shut(t *testing.T, l *net.TCPListener) {
	t.Helper()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = backlog(int(fd)) }); err != nil {
		t.Fatal(err)
	}
}

// TestNetworkDecides: the network refuses, and cuts.
func TestNetworkDecides(t *testing.T) {
	n := &testnetwork.Network{}
	g := networked(t, n)
	_, connections, address := g.listening("127.0.0.1:0")
	client := g.connect(address)
	server := g.accepted(connections)
	r, received := g.receiver(client)
	w, sent := g.sender(server)
	if n := g.call("bytes.read-async", r, addrData, 3); n != blocked {
		t.Fatalf("a read of what has not come: %#x", n)
	}
	n.Cut()
	if got := g.waitFor(r); got != dropped {
		t.Errorf("the read ended with %#x", got)
	}
	if code := g.outcome("socket-future", received); code != reset {
		t.Errorf("receiving ended with %d", code)
	}
	g.send(w, []byte("x"))
	if code := g.outcome("socket-future", sent); code != reset && code != broken {
		t.Errorf("sending ended with %d", code)
	}
	none := newGuest(t, wasi.Config{})
	none.want(accessDenied, "tcp-create", 0)
	none.want(accessDenied, "udp-create", 0)
	none.want(int(bindings.IPNameLookupErrorCodeAccessDenied), "resolve", none.path("127.0.0.1")...)
}

// wantSent sends a datagram, which is answered at once, to an address of IPv4 or to the peer.
func (g *guest) wantSent(code, socket, data, n int, to string) {
	g.t.Helper()
	params := make([]byte, 56)
	for i, v := range []int{socket, data, n} {
		binary.LittleEndian.PutUint32(params[4*i:], uint32(v))
	}
	if to != "" {
		a := netip.MustParseAddrPort(to)
		params[12] = 1
		binary.LittleEndian.PutUint16(params[20:], a.Port())
		copy(params[22:], a.Addr().AsSlice())
	}
	at, _ := g.put(params)
	if status := g.call("udp-send", at, addrResult); status != 2 {
		g.t.Fatalf("sending has the status %#x", status)
	}
	if got := g.code(addrResult, 0); got != code {
		g.t.Errorf("sending to %q: error %d, want %d", to, got, code)
	}
}

// TestDatagrams sends and receives, at once and later.
func TestDatagrams(t *testing.T) {
	g := networked(t, &testnetwork.Network{})
	server, client := g.socket("udp", 0), g.socket("udp", 0)
	g.want(invalidState, "udp-receive", server)
	g.want(fine, "udp-bind", with(server, to("127.0.0.1:0"))...)
	g.want(invalidState, "udp-bind", with(server, to("127.0.0.1:0"))...)
	address := g.local("udp", server)
	data, n := g.put([]byte("text"))
	g.wantSent(invalidArgument, client, data, n, "")
	g.want(invalidState, "udp-disconnect", client)
	g.wantSent(fine, client, data, n, address)
	g.want(fine, "udp-receive", server)
	if got, from := g.text(addrResult+4), g.addressAt(addrResult+12); got != "text" || !strings.HasPrefix(from, "127.0.0.1:") {
		t.Errorf("received %q from %s", got, from)
	}
	g.want(fine, "udp-connect", with(client, to(address))...)
	g.wantSent(invalidArgument, client, data, n, "127.0.0.1:1")
	const at = 1024
	first, second := g.call("udp-receive-async", server, at), g.call("udp-receive-async", server, at+64)
	if first&15 != 1 || second&15 != 1 {
		t.Fatalf("receiving has the status %#x, %#x", first, second)
	}
	if r := g.call("cancel", first>>4); r != 4 {
		t.Errorf("cancelling: %d", r)
	}
	g.wantSent(fine, client, data, n, "")
	g.waitFor(second >> 4)
	if code := g.code(at+64, 0); code != fine || g.text(at+64+4) != "text" || g.addressAt(at+64+12) != g.local("udp", client) {
		t.Errorf("received %q, %d", g.text(at+64+4), code)
	}
	big, size := g.put(make([]byte, 65536))
	g.wantSent(int(bindings.SocketsErrorCodeDatagramTooLarge), client, big, size, "")
	for _, s := range []int{server, client} {
		g.call("drop-udp", s)
	}
}

// TestResolve looks up names, and gives up.
func TestResolve(t *testing.T) {
	answers := map[string]error{"denied": wasi.ErrAccess, "none": wasi.ErrNotExist, "silent": wasi.ErrWouldBlock, "broken": wasi.ErrIO}
	g := networked(t, &testnetwork.Network{OnLookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
		if name == "slow" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, answers[name]
	}})
	g.want(fine, "resolve", g.path("name")...)
	list, n := g.u32(addrResult+4), g.u32(addrResult+8)
	if b := g.get(list, 36); n != 2 || b[0] != 0 || [4]byte(b[2:6]) != [4]byte{192, 0, 2, 1} || b[18] != 1 || binary.LittleEndian.Uint16(b[20:]) != 0x2001 {
		t.Errorf("%d addresses: %v", n, b)
	}
	for name, code := range map[string]bindings.IPNameLookupErrorCodeCase{
		"denied": bindings.IPNameLookupErrorCodeAccessDenied, "none": bindings.IPNameLookupErrorCodeNameUnresolvable,
		"silent": bindings.IPNameLookupErrorCodeTemporaryResolverFailure, "broken": bindings.IPNameLookupErrorCodePermanentResolverFailure,
		"": bindings.IPNameLookupErrorCodeInvalidArgument,
	} {
		g.want(int(code), "resolve", g.path(name)...)
	}
	status := g.call("resolve-async", with(g.path("slow"), addrResult)...)
	if status&15 != 1 {
		t.Fatalf("a lookup has the status %#x", status)
	}
	if r := g.call("cancel", status>>4); r != 4 {
		t.Errorf("cancelling: %d", r)
	}
	g.call("resolve-async", with(g.path("slow"), addrResult)...) // which is left when the guest ends
}

// TestAcceptWithoutRoom has more clients than the guest has descriptors.
func TestAcceptWithoutRoom(t *testing.T) {
	g := newGuest(t, wasi.Config{Network: &testnetwork.Network{}, MaxDescriptors: 6})
	_, connections, address := g.listening("127.0.0.1:0")
	for range 2 {
		peer, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
	}
	first := g.accepted(connections)
	if n := g.call("tcps.read-async", connections, addrData, 1); n != blocked {
		t.Fatalf("accepting without room: %#x", n)
	}
	g.call("drop-tcp", first)
	if n := g.waitFor(connections); n != 1<<4|completed {
		t.Errorf("accepting when there is room: %#x", n)
	}
}

// TestKilledSockets ends guests whose calls wait.
func TestKilledSockets(t *testing.T) {
	for name, wait := range map[string]func(g *guest) error{
		"accept": func(g *guest) error {
			_, connections, _ := g.listening("127.0.0.1:0")
			_, err := g.try("tcps.read", connections, addrData, 1)
			return err
		},
		"receive": func(g *guest) error {
			s := g.socket("udp", 0)
			g.want(fine, "udp-bind", with(s, to("127.0.0.1:0"))...)
			_, err := g.try("udp-receive", s, addrResult)
			return err
		},
		"read": func(g *guest) error {
			_, _, address := g.listening("127.0.0.1:0")
			r, _ := g.receiver(g.connect(address))
			_, err := g.try("bytes.read", r, addrData, 1)
			return err
		},
	} {
		g := networked(t, &testnetwork.Network{})
		time.AfterFunc(50*time.Millisecond, func() { g.kill(errKill) })
		if err := wait(g); !errors.Is(err, errKill) {
			t.Errorf("%s ended with %v", name, err)
		}
	}
}
