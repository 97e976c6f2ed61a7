package wasi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Listener is a listening socket of the guest.
type Listener struct {
	guest *Guest

	mu sync.Mutex // protects closing and shutting in different goroutines
	fd int
}

// newListener takes over a listening socket. It copies the descriptor, without Go's poller, and
// closes the original.
func newListener(g *Guest, from *net.TCPListener) (*Listener, error) {
	raw, err := from.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &Listener{guest: g, fd: -1}
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		l.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	err = errors.Join(err, os.NewSyscallError("fcntl", dupErr), from.Close())
	if err != nil && l.fd >= 0 {
		err = errors.Join(err, l.end())
	}
	return l, err
}

// takeListeners takes over all the sockets, or closes them all.
func (g *Guest) takeListeners(list []*net.TCPListener) (all []*Listener, err error) {
	for i, from := range list {
		l, err := newListener(g, from)
		if err != nil {
			err = fmt.Errorf("listening socket %d, %s: %w", i, from.Addr(), err)
			for _, l := range all {
				err = errors.Join(err, l.end())
			}
			closeListeners(list[i:])
			return nil, err
		}
		all = append(all, l)
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

// Type implements Object.
func (*Listener) Type() FileType { return TypeSocket }

// Stat implements Object.
func (l *Listener) Stat() (Stat, error) { return statFD(l.fd) }

// Close implements Object.
func (l *Listener) Close(context.Context) error {
	l.guest.room.open--
	return l.end()
}

func (l *Listener) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fd := l.fd
	l.fd = -1
	return unix.Close(fd)
}

// shut ends accepting, even for a call that waits.
func (l *Listener) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd >= 0 {
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR) // it fails only if it was shut before
	}
}

// Shutdown ends receiving, sending or both, like shutdown(2). A listening socket then accepts no
// more connections.
func (l *Listener) Shutdown(how Shutdown) error { return how.do(l.fd) }

// Accept takes the next connection. It waits for one; if nonblock is set, the error is
// ErrWouldBlock instead. ErrTooManyOpen also means that the host has no more files or memory,
// because servers react to this error by waiting and trying again.
func (l *Listener) Accept(ctx context.Context, nonblock bool) (*Connection, error) {
	g := l.guest
	if g.room.reserve() != nil {
		return nil, ErrTooManyOpen
	}
	fd, err := l.accept(ctx, nonblock)
	if err != nil {
		g.room.release()
		return nil, err
	}
	return &Connection{guest: g, fd: fd}, nil
}

func (l *Listener) accept(ctx context.Context, nonblock bool) (int, error) {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch err {
		case nil:
			// Go's net sets the same options: small answers are sent at once, and a peer that
			// disappeared is noticed at some time. Preview 1 has no socket options.
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			return fd, nil
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			return -1, ErrTooManyOpen
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN,
			unix.EHOSTUNREACH, unix.ENONET, unix.EOPNOTSUPP:
			// Except EINTR, it is an error of a connection that is already lost: see accept(2).
			if ctx.Err() != nil {
				return -1, ErrKilled
			}
		case unix.EAGAIN:
			if nonblock {
				return -1, ErrWouldBlock
			}
			if err := l.guest.await(ctx, l.fd, unix.POLLIN); err != nil {
				return -1, err
			}
		default:
			return -1, err
		}
	}
}
