package preview1

import (
	"context"
	"encoding/binary"
	"net/netip"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// sockets are the functions of WasmEdge, which the specification does not have. Libraries for Rust,
// Go and others call them. A name with _v2 is the later generation of the name without; programs
// that were built between the two have the later one without _v2, and so other parameters.
var sockets = []Function{
	function("sock_open", "iii", sockOpen),
	function("sock_bind", "iii", sockBind),
	function("sock_listen", "ii", sockListen),
	function("sock_connect", "iii", sockConnect),
	other("sock_accept_v1", "sock_accept", "ii", sockAcceptV1),
	function("sock_recv_from", "iiiiiiii", sockRecvFrom),
	other("sock_recv_from_v1", "sock_recv_from", "iiiiiii", sockRecvFromV1),
	function("sock_send_to", "iiiiiii", sockSendTo),
	function("sock_getlocaladdr", "iiii", sockGetlocaladdrV1),
	function("sock_getpeeraddr", "iiii", sockGetpeeraddrV1),
	function("sock_getsockopt", "iiiii", sockGetsockopt),
	function("sock_setsockopt", "iiiii", sockSetsockopt),
	function("sock_getaddrinfo", "iiiiiiii", sockGetaddrinfo),

	function("sock_open_v2", "iii", sockOpen),
	function("sock_bind_v2", "iii", sockBind),
	function("sock_listen_v2", "ii", sockListen),
	function("sock_connect_v2", "iii", sockConnect),
	function("sock_accept_v2", "iii", sockAccept),
	function("sock_recv_v2", "iiiiii", sockRecv),
	function("sock_recv_from_v2", "iiiiiiii", sockRecvFrom),
	function("sock_send_v2", "iiiii", sockSend),
	function("sock_send_to_v2", "iiiiiii", sockSendTo),
	function("sock_getlocaladdr_v2", "iii", sockGetlocaladdr),
	function("sock_getpeeraddr_v2", "iii", sockGetpeeraddr),
	other("sock_getlocaladdr_v2_plain", "sock_getlocaladdr", "iii", sockGetlocaladdr),
	other("sock_getpeeraddr_v2_plain", "sock_getpeeraddr", "iii", sockGetpeeraddr),
}

// Types of sockets.
const (
	socketAny = iota
	socketDatagram
	socketStream
)

func sockOpen(_ context.Context, g *Guest, m memory, a arguments) error {
	if _, err := m.bytes(a.u32(2), 4); err != nil {
		return err
	}
	ipv6 := false
	switch a.u32(0) {
	case familyIPv4:
	case familyIPv6:
		ipv6 = true
	default:
		return ErrnoAfnosupport
	}
	var (
		o   wasi.Object
		err error
	)
	switch a.u32(1) {
	case socketAny, socketStream:
		o, err = g.NewTCP(ipv6)
	case socketDatagram:
		o, err = g.NewUDP(ipv6)
	default:
		return ErrnoInval
	}
	if err != nil {
		return err
	}
	return m.putU32(a.u32(2), g.fds.add(&descriptor{object: o, rights: socketRights, inheriting: connectionRights, told: true}))
}

// ends is a socket that has a local and perhaps a remote address.
type ends interface {
	Bind(to netip.AddrPort) error
	Local() (netip.AddrPort, error)
	Remote() (netip.AddrPort, error)
}

// ends is the socket fd.
func (g *Guest) ends(fd uint32) (ends, *descriptor, error) {
	d, err := g.socket(fd, 0)
	if err != nil {
		return nil, nil, err
	}
	return d.object.(ends), d, nil
}

func sockBind(_ context.Context, g *Guest, m memory, a arguments) error {
	s, _, err := g.ends(a.u32(0))
	if err != nil {
		return err
	}
	to, err := m.addressPort(a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	return s.Bind(to)
}

func sockListen(_ context.Context, g *Guest, _ memory, a arguments) error {
	d, err := g.socket(a.u32(0), 0)
	if err != nil {
		return err
	}
	t, ok := d.object.(*wasi.TCP)
	if !ok {
		return ErrnoNotsup
	}
	if backlog := int32(a.u32(1)); backlog > 0 { // with less, the host chooses
		if err := t.SetBacklog(uint64(backlog)); err != nil {
			return err
		}
	}
	if t.State() == wasi.Listening { // the backlog is all that changes
		return nil
	}
	return t.Listen()
}

func sockConnect(ctx context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.socket(a.u32(0), 0)
	if err != nil {
		return err
	}
	to, err := m.addressPort(a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	if u, ok := d.object.(*wasi.UDP); ok {
		return u.Connect(to)
	}
	t := d.object.(*wasi.TCP)
	if t.State() == wasi.Connecting { // the guest asks again for the result
		if err := t.FinishConnect(); wasi.ErrorOf(err) != wasi.ErrWouldBlock {
			return err
		}
		return wasi.ErrInProgress
	}
	return t.Connect(ctx, to, d.nonblock())
}

func sockAcceptV1(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.accept(ctx, m, a.u32(0), 0, a.u32(1))
}

func sockGetlocaladdr(_ context.Context, g *Guest, m memory, a arguments) error {
	return g.end(m, a.u32(0), ends.Local, a.u32(1), a.u32(2))
}

func sockGetpeeraddr(_ context.Context, g *Guest, m memory, a arguments) error {
	return g.end(m, a.u32(0), ends.Remote, a.u32(1), a.u32(2))
}

func sockGetlocaladdrV1(_ context.Context, g *Guest, m memory, a arguments) error {
	return g.endV1(m, a.u32(0), ends.Local, a)
}

func sockGetpeeraddrV1(_ context.Context, g *Guest, m memory, a arguments) error {
	return g.endV1(m, a.u32(0), ends.Remote, a)
}

// end writes an address of a socket.
func (g *Guest) end(m memory, fd uint32, of func(ends) (netip.AddrPort, error), ptr, port uint32) error {
	s, _, err := g.ends(fd)
	if err != nil {
		return err
	}
	at, err := of(s)
	switch wasi.ErrorOf(err) {
	case wasi.ErrState: // it is not bound: like the kernel's, it has all zeroes
		at, err = netip.AddrPortFrom(unspecified(s), 0), nil
	case wasi.ErrNotConnected:
		return ErrnoNotconn
	}
	if err != nil {
		return err
	}
	b, err := m.address(ptr)
	if err != nil {
		return err
	}
	if err := m.putU32(port, uint32(at.Port())); err != nil {
		return err
	}
	return putAddress(b, at.Addr())
}

func unspecified(s ends) netip.Addr {
	if s.(interface{ IPv6() bool }).IPv6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// endV1 is end for the first generation, which says the family, too.
func (g *Guest) endV1(m memory, fd uint32, of func(ends) (netip.AddrPort, error), a arguments) error {
	family, err := m.bytes(a.u32(2), 4)
	if err != nil {
		return err
	}
	if err := g.end(m, fd, of, a.u32(1), a.u32(3)); err != nil {
		return err
	}
	s, _, err := g.ends(fd)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(family, oldIPv4)
	if unspecified(s).Is6() {
		binary.LittleEndian.PutUint32(family, oldIPv6)
	}
	return nil
}

func sockSendTo(ctx context.Context, g *Guest, m memory, a arguments) error {
	to, err := m.addressPort(a.u32(3), a.u32(4))
	if err != nil {
		return err
	}
	return g.send(ctx, m, sending{fd: a.u32(0), vecs: a.u32(1), count: a.u32(2), to: to, flags: a.u32(5), size: a.u32(6)})
}

func sockRecvFrom(ctx context.Context, g *Guest, m memory, a arguments) error {
	port, err := m.bytes(a.u32(5), 2)
	if err != nil {
		return err
	}
	from, err := g.receiveFrom(ctx, m, a.u32(3), receiving{
		fd: a.u32(0), vecs: a.u32(1), count: a.u32(2), flags: a.u32(4), size: a.u32(6), told: a.u32(7),
	})
	if err == nil {
		binary.LittleEndian.PutUint16(port, from.Port())
	}
	return err
}

// sockRecvFromV1 is that of the first generation, which does not say the port.
func sockRecvFromV1(ctx context.Context, g *Guest, m memory, a arguments) error {
	_, err := g.receiveFrom(ctx, m, a.u32(3), receiving{
		fd: a.u32(0), vecs: a.u32(1), count: a.u32(2), flags: a.u32(4), size: a.u32(5), told: a.u32(6),
	})
	return err
}

// receiveFrom receives, and writes who has sent.
func (g *Guest) receiveFrom(ctx context.Context, m memory, ptr uint32, r receiving) (netip.AddrPort, error) {
	b, err := m.address(ptr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if len(b) != storageSize && len(b) != 16 && len(b) != 4 {
		return netip.AddrPort{}, ErrnoInval
	}
	from, err := g.receive(ctx, m, r)
	if err != nil {
		return from, err
	}
	return from, putAddress(b, from.Addr())
}
