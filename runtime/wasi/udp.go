package wasi

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// UDP is a socket of UDP. It may have one other end (Connect), or any.
type UDP struct {
	socket
	peer  *peer // nil for any
	flows flows
}

// peer is the other end of a connected socket.
type peer struct {
	guest, host netip.AddrPort
	forbidden   atomic.Bool
	stop        func() // ends Network.Watch
}

// MaxDatagram is how many bytes a datagram has at most.
const MaxDatagram = 65535

// refusedPerLook is how many datagrams that are not allowed one call takes before the guest gets a
// turn.
const refusedPerLook = 64

// NewUDP makes a socket. The errors are those of NewTCP.
func (g *Guest) NewUDP(ipv6 bool) (*UDP, error) {
	u := &UDP{}
	if err := u.open(g, runtime.UDP, ipv6); err != nil {
		return nil, err
	}
	return u, nil
}

// Bind binds the socket to an address, once.
func (u *UDP) Bind(to netip.AddrPort) error {
	if err := u.checkLocal(to); err != nil {
		return err
	}
	if err := u.bind(to, to.Port() != 0); err != nil {
		return err
	}
	u.as = to.Addr()
	if to.Port() == 0 && u.as.IsLoopback() {
		// It receives, too: the Network is to know that the port is for the guest's loopback alone.
		_, err := u.mayBind(netip.AddrPortFrom(u.as, u.local().Port()), true)
		return err
	}
	return nil
}

// Bound reports whether the socket has a port.
func (u *UDP) Bound() bool { return u.bound }

// Connect gives the socket one other end. What comes from others is lost. The socket may have had
// another one before.
func (u *UDP) Connect(to netip.AddrPort) error {
	if err := u.checkRemote(to); err != nil {
		return err
	}
	u.part()
	way, err := u.guest.network.Connect(runtime.UDP, to)
	if err != nil {
		return err
	}
	if way.To.Addr().Is4() == u.ipv6 {
		return ErrNetworkUnreachable
	}
	if err := u.bindAnywhere(way.From); err != nil {
		return err
	}
	if err := unix.Connect(u.fd, sockaddr(way.To)); err != nil {
		return err
	}
	p := &peer{guest: to, host: way.To}
	p.stop = u.guest.network.Watch(runtime.UDP, u.local(), way.To, true, func() { p.forbidden.Store(true) })
	u.peer = p
	return nil
}

// Disconnect lets the socket have any other end again. The error is ErrState if it has any.
func (u *UDP) Disconnect() error {
	if u.peer == nil {
		return ErrState
	}
	u.part()
	return nil
}

func (u *UDP) part() {
	if u.peer != nil {
		u.peer.stop()
		u.peer = nil
		disconnect(u.fd)
	}
}

// Send sends a datagram to an address, or with the zero AddrPort to the other end of a connected
// socket. It waits for room, or returns ErrWouldBlock if nonblock is set. A socket that is not
// bound gets a port.
func (u *UDP) Send(ctx context.Context, bufs [][]byte, to netip.AddrPort, nonblock bool) (int, error) {
	if sizeOf(bufs) > MaxDatagram {
		return 0, ErrMessageSize
	}
	var way unix.Sockaddr
	switch p := u.peer; {
	case p == nil:
		if !to.IsValid() {
			return 0, ErrNoDestination
		}
		host, err := u.way(to)
		if err != nil {
			return 0, err
		}
		way = sockaddr(host)
	case to.IsValid() && to != p.guest:
		return 0, ErrAlreadyConnected
	case p.forbidden.Load():
		return 0, ErrAccess
	}
	for {
		n, err := unix.SendmsgBuffers(u.fd, bufs, nil, way, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN && !nonblock:
			if err := u.guest.await(ctx, u.fd, unix.POLLOUT); err != nil {
				return 0, err
			}
		default:
			return u.guest.sent.add(max(n, 0), err)
		}
	}
}

// Datagram is what a socket has received.
type Datagram struct {
	Size      int // the bytes in the buffers
	From      netip.AddrPort
	Truncated bool // the buffers were too small for it
}

// Receive receives a datagram into the buffers. It waits for one, or returns ErrWouldBlock with
// DontWait. The error is ErrState if the socket has no port. Datagrams that are not allowed are
// lost.
func (u *UDP) Receive(ctx context.Context, bufs [][]byte, how Receive) (Datagram, error) {
	if !u.bound {
		return Datagram{}, ErrState
	}
	flags := unix.MSG_DONTWAIT
	if how&Peek != 0 {
		flags |= unix.MSG_PEEK
	}
	for refused := 0; ; {
		n, _, got, from, err := unix.RecvmsgBuffers(u.fd, bufs, nil, flags)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN) && how&DontWait == 0:
			if err := u.guest.await(ctx, u.fd, unix.POLLIN); err != nil {
				return Datagram{}, err
			}
			continue
		case err != nil:
			_, err = u.guest.received.add(0, err)
			return Datagram{}, err
		}
		if source := u.source(addrPort(from)); source.IsValid() {
			if how&Peek == 0 {
				u.guest.received.bytes.Add(int64(n))
			}
			return Datagram{Size: n, From: source, Truncated: got&unix.MSG_TRUNC != 0}, nil
		}
		if how&Peek != 0 {
			_, _, _ = unix.Recvfrom(u.fd, nil, unix.MSG_DONTWAIT) // it takes the refused one
		}
		if refused++; refused%refusedPerLook == 0 {
			if err := u.guest.pace.look(ctx); err != nil {
				return Datagram{}, err
			}
			if how&DontWait != 0 {
				return Datagram{}, ErrWouldBlock
			}
		}
	}
}

// source is the guest's address of who has sent a datagram, or zero if it is not allowed.
func (u *UDP) source(host netip.AddrPort) netip.AddrPort {
	if p := u.peer; p != nil {
		// What came before the socket was connected may be from others.
		if host != p.host || p.forbidden.Load() {
			return netip.AddrPort{}
		}
		return p.guest
	}
	if f := u.flows.from(host); f != nil {
		return f.guest
	}
	local := u.local()
	if u.guest.network.Accept(runtime.UDP, local, host) != nil {
		return netip.AddrPort{}
	}
	from := showOther(host, u.show(local, netip.AddrPort{}, netip.AddrPort{}), local)
	u.flows.add(u, from, host, false)
	return from
}

// way is the host's address for a datagram to the guest's.
func (u *UDP) way(to netip.AddrPort) (netip.AddrPort, error) {
	if err := u.checkRemote(to); err != nil {
		return netip.AddrPort{}, err
	}
	if f := u.flows.to(to); f != nil {
		return f.host, nil
	}
	way, err := u.guest.network.Connect(runtime.UDP, to)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if way.To.Addr().Is4() == u.ipv6 {
		return netip.AddrPort{}, ErrNetworkUnreachable
	}
	if err := u.bindAnywhere(way.From); err != nil {
		return netip.AddrPort{}, err
	}
	u.flows.add(u, to, way.To, true)
	return way.To, nil
}

// Local returns the address that the socket is bound to, or ErrState.
func (u *UDP) Local() (netip.AddrPort, error) {
	switch {
	case !u.bound:
		return netip.AddrPort{}, ErrState
	case u.peer != nil:
		return u.show(u.local(), u.peer.host, u.peer.guest), nil
	}
	return u.show(u.local(), netip.AddrPort{}, netip.AddrPort{}), nil
}

// Remote returns the address of the one other end, or ErrNotConnected.
func (u *UDP) Remote() (netip.AddrPort, error) {
	if u.peer == nil {
		return netip.AddrPort{}, ErrNotConnected
	}
	return u.peer.guest, nil
}

// Close implements Object.
func (u *UDP) Close(context.Context) error {
	if u.peer != nil {
		u.peer.stop()
	}
	u.flows.close(u)
	return u.close()
}
