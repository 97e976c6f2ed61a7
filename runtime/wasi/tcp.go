package wasi

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TCP is a socket of TCP. It becomes a listening socket or a connection, and stays that.
type TCP struct {
	socket
	state     State
	ephemeral bool // it was bound to a port that the kernel chose
	backlog   int
	shut      Shutdown       // the directions that have ended
	to        netip.AddrPort // the other end, as the host has it
	remote    netip.AddrPort // the same, as the guest has it
	stop      func()         // ends Network.Watch; nil without
}

// State is the state of a socket of TCP.
type State uint8

// The states. A socket that is Connecting becomes Connected or Closed when FinishConnect is called.
const (
	Unbound State = iota
	Bound
	Listening
	Connecting
	Connected
	Closed // a connection could not be made
)

const (
	defaultBacklog = 1024
	maxBacklog     = 4096 // the kernel's own bound, by default
)

// NewTCP makes a socket. The error is ErrAccess if the guest has no network, ErrFamily if the
// machine does not have the family, and ErrTooManyOpen or ErrNoFiles if there is no room.
func (g *Guest) NewTCP(ipv6 bool) (*TCP, error) {
	t := &TCP{backlog: defaultBacklog}
	if err := t.open(g, runtime.TCP, ipv6); err != nil {
		return nil, err
	}
	return t, nil
}

// State returns the state.
func (t *TCP) State() State { return t.state }

// Bind binds the socket to an address, once.
func (t *TCP) Bind(to netip.AddrPort) error {
	if t.state != Unbound {
		return ErrState
	}
	if err := t.checkLocal(to); err != nil {
		return err
	}
	// The guest does not say here whether it will listen or connect. If it chooses the port, it is
	// to listen; else Listen asks again.
	if err := t.bind(to, to.Port() != 0); err != nil {
		return err
	}
	t.state, t.as, t.ephemeral = Bound, to.Addr(), to.Port() == 0
	return nil
}

// Listen lets the socket accept connections. A socket that is not bound gets a port.
func (t *TCP) Listen() error {
	switch {
	case t.state == Unbound:
		any := netip.AddrPortFrom(t.unspecified(), 0)
		if err := t.bind(any, true); err != nil {
			return err
		}
		t.state, t.as = Bound, any.Addr()
	case t.state != Bound:
		return ErrState
	case t.ephemeral:
		if _, err := t.mayBind(netip.AddrPortFrom(t.as, t.local().Port()), true); err != nil {
			return err
		}
	}
	if err := unix.Listen(t.fd, t.backlog); err != nil {
		return err
	}
	t.state = Listening
	t.guest.listening.add(t)
	return nil
}

// SetBacklog sets how many connections may wait to be accepted. It is brought into the kernel's
// bounds.
func (t *TCP) SetBacklog(n uint64) error {
	switch {
	case n == 0:
		return ErrInvalid
	case t.state > Listening:
		return ErrState
	}
	t.backlog = int(min(n, maxBacklog))
	if t.state == Listening {
		return unix.Listen(t.fd, t.backlog)
	}
	return nil
}

// StartConnect begins to connect. FinishConnect says how it ended. A socket that is not bound gets
// a port.
func (t *TCP) StartConnect(to netip.AddrPort) error {
	switch t.state {
	case Unbound, Bound:
	case Connecting:
		return ErrInProgress
	case Connected:
		return ErrAlreadyConnected
	default:
		return ErrState
	}
	if err := t.checkRemote(to); err != nil {
		return err
	}
	t.state = Closed // unless it goes well
	way, err := t.guest.network.Connect(runtime.TCP, to)
	if err != nil {
		return err
	}
	if way.To.Addr().Is4() == t.ipv6 {
		return ErrNetworkUnreachable
	}
	if !t.bound && way.From.IsValid() {
		// Without it, there could be no more connections than ports from an address.
		if err := unix.SetsockoptInt(t.fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return err
		}
		if err := t.bindHost(netip.AddrPortFrom(way.From, 0)); err != nil {
			return err
		}
	}
	t.to, t.remote = way.To, to
	switch err := unix.Connect(t.fd, sockaddr(way.To)); err {
	case nil, unix.EINPROGRESS, unix.EINTR:
	case unix.EADDRNOTAVAIL: // no port is free
		return ErrAddressInUse
	default:
		return err
	}
	t.bound, t.state = true, Connecting
	t.stop = t.guest.network.Watch(runtime.TCP, t.local(), t.to, true, t.cut)
	return nil
}

// FinishConnect returns the result of a connection that was begun. It does not wait: the error is
// ErrWouldBlock while it goes on.
func (t *TCP) FinishConnect() error {
	switch t.state {
	case Connecting:
	case Connected:
		return nil
	default:
		return ErrState
	}
	fds := [1]unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLOUT}}
	var now unix.Timespec
	switch n, err := unix.Ppoll(fds[:], &now, nil); {
	case err != nil && err != unix.EINTR:
		return err
	case n == 0 || err != nil:
		return ErrWouldBlock
	}
	number, err := unix.GetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && number != 0 {
		err = unix.Errno(number)
	}
	if err == nil && t.forbidden.Load() {
		err = ErrConnectionReset
	}
	t.state = Connected
	if err != nil {
		t.state = Closed
	}
	return err
}

// GiveUp ends a connection that is being made.
func (t *TCP) GiveUp() {
	if t.state == Connecting {
		t.state = Closed
		disconnect(t.fd)
	}
}

// Connect connects, and waits until that is done. If nonblock is set, the error is ErrInProgress
// instead.
func (t *TCP) Connect(ctx context.Context, to netip.AddrPort, nonblock bool) error {
	if err := t.StartConnect(to); err != nil {
		return err
	}
	for {
		err := t.FinishConnect()
		switch {
		case !errors.Is(err, ErrWouldBlock):
			return err
		case nonblock:
			return ErrInProgress
		}
		if err := t.guest.await(ctx, t.fd, unix.POLLOUT); err != nil {
			return err
		}
	}
}

// connected returns an error if there is no connection.
func (t *TCP) connected() error {
	switch t.state {
	case Connected:
		return nil
	case Connecting:
		if err := t.FinishConnect(); !errors.Is(err, ErrWouldBlock) {
			return err
		}
	}
	return ErrNotConnected
}

// Local returns the address that the socket is bound to, or ErrState.
func (t *TCP) Local() (netip.AddrPort, error) {
	if !t.bound {
		return netip.AddrPort{}, ErrState
	}
	return t.show(t.local(), t.to, t.remote), nil
}

// Remote returns the address of the connection's other end, or ErrNotConnected.
func (t *TCP) Remote() (netip.AddrPort, error) {
	if err := t.connected(); err != nil {
		return netip.AddrPort{}, err
	}
	return t.remote, nil
}

// Close implements Object.
func (t *TCP) Close(context.Context) error {
	if t.state == Listening {
		t.guest.listening.remove(t)
	}
	if t.stop != nil {
		t.stop()
	}
	return t.close()
}
