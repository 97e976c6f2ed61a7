package wasi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// newListener takes over a listening socket. It copies the descriptor, without Go's poller, and
// closes the original.
func newListener(g *Guest, from *net.TCPListener) (*TCP, error) {
	raw, err := from.SyscallConn()
	if err != nil {
		return nil, err
	}
	t := &TCP{
		socket: socket{guest: g, protocol: runtime.TCP, initial: true, bound: true, fd: -1},
		state:  Listening, backlog: defaultBacklog,
	}
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		t.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	err = errors.Join(err, os.NewSyscallError("fcntl", dupErr), from.Close())
	if err != nil && t.fd >= 0 {
		err = errors.Join(err, t.end())
	}
	if err == nil {
		t.ipv6 = t.local().Addr().Is6()
		g.listening.add(t)
	}
	return t, err
}

// takeListeners takes over all the sockets, or closes them all.
func (g *Guest) takeListeners(list []*net.TCPListener) (all []*TCP, err error) {
	for i, from := range list {
		t, err := newListener(g, from)
		if err != nil {
			err = fmt.Errorf("listening socket %d, %s: %w", i, from.Addr(), err)
			for _, t := range all {
				err = errors.Join(err, t.end())
			}
			closeListeners(list[i:])
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// closeListeners closes sockets that were not taken over. Some may be closed already; this does no
// harm.
func closeListeners(list []*net.TCPListener) {
	for _, l := range list {
		_ = l.Close()
	}
}

// listening has the listening sockets of a guest. Quiesce shuts them, from another goroutine.
type listening struct {
	mu    sync.Mutex
	list  map[*TCP]struct{}
	ended bool // no socket of the guest is to accept any more
}

func (l *listening) add(t *TCP) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.list == nil {
		l.list = map[*TCP]struct{}{}
	}
	l.list[t] = struct{}{}
	if l.ended {
		t.endAccepting()
	}
}

func (l *listening) remove(t *TCP) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.list, t)
}

func (l *listening) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for t := range l.list {
		t.endAccepting()
	}
}

// endAccepting ends accepting, even for a call that waits.
func (t *TCP) endAccepting() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd >= 0 {
		_ = unix.Shutdown(t.fd, unix.SHUT_RDWR) // it fails only if it was shut before
	}
}

// Accept takes the next connection. It waits for one; if nonblock is set, the error is
// ErrWouldBlock instead. ErrTooManyOpen also means that the host has no more files or memory,
// because servers react to this error by waiting and trying again. Connections that are not allowed
// are reset, and the guest does not see them.
func (t *TCP) Accept(ctx context.Context, nonblock bool) (*TCP, error) {
	if t.state != Listening {
		return nil, ErrState
	}
	if t.guest.room.reserve() != nil {
		return nil, ErrTooManyOpen
	}
	c, err := t.accept(ctx, nonblock)
	if err != nil {
		t.guest.room.release()
	}
	return c, err
}

func (t *TCP) accept(ctx context.Context, nonblock bool) (*TCP, error) {
	for {
		fd, from, err := unix.Accept4(t.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch err {
		case nil:
			if c := t.accepted(fd, addrPort(from)); c != nil {
				return c, nil
			}
			if err := t.guest.pace.look(ctx); err != nil {
				return nil, err
			}
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			return nil, ErrTooManyOpen
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN,
			unix.EHOSTUNREACH, unix.ENONET, unix.EOPNOTSUPP:
			// Except EINTR, it is an error of a connection that is already lost: see accept(2).
			if ctx.Err() != nil {
				return nil, ErrKilled
			}
		case unix.EAGAIN:
			if nonblock {
				return nil, ErrWouldBlock
			}
			if err := t.guest.await(ctx, t.fd, unix.POLLIN); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// accepted is the connection of a new descriptor, or nil if it is not allowed. Its options are the
// listening socket's. A guest did not make the sockets that it has from its start, and preview 1
// has no options for them. Their connections get what Go's net sets: small answers are sent at
// once, and a peer that disappeared is noticed at some time.
func (t *TCP) accepted(fd int, from netip.AddrPort) *TCP {
	if t.initial {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	}
	c := &TCP{
		socket: socket{guest: t.guest, protocol: runtime.TCP, ipv6: t.ipv6, bound: true, fd: fd},
		state:  Connected, to: from, remote: from,
	}
	network := t.guest.network
	if network == nil {
		return c
	}
	local := c.local()
	if network.Accept(runtime.TCP, local, from) != nil {
		refuse(fd)
		return nil
	}
	if shown := t.as; shown.IsValid() && !shown.IsUnspecified() {
		c.as = shown
	} else {
		c.as = network.Shown(local).Addr()
	}
	c.remote = showOther(from, netip.AddrPortFrom(c.as, local.Port()), local)
	c.stop = network.Watch(runtime.TCP, local, from, false, c.cut)
	return c
}

// refuse closes a connection so that its other end gets a reset.
func refuse(fd int) {
	disconnect(fd)
	_ = unix.Close(fd) // nothing was written to it
}
