package wasi

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// listener is a listening socket that the guest was given.
type listener struct {
	// told says that the guest has looked at its flags, or set them. It is given with flagNonblock, which Go's runtime
	// looks for and needs: a call that blocks would stop its whole guest. A guest that never looks cannot
	// know, and gets what such programs, in C mostly, expect: an accept that waits.
	told bool

	mu sync.Mutex // guards closing against shutting from elsewhere
	fd int
}

// connection is an accepted connection.
type connection struct {
	fd int
}

const (
	connectionRights = rightFDRead | rightFDWrite | rightFDFdstatSetFlags | rightFDFilestatGet | rightPollFDReadwrite |
		rightSockShutdown
	listenerRights = rightFDFdstatSetFlags | rightFDFilestatGet | rightPollFDReadwrite | rightSockAccept | rightSockShutdown
)

// newListener takes over a listening socket: the descriptor is copied, without Go's poller, and the original closed.
func newListener(from *net.TCPListener) (*listener, error) {
	raw, err := from.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &listener{fd: -1}
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		l.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	err = errors.Join(err, os.NewSyscallError("fcntl", dupErr), from.Close())
	if err != nil && l.fd >= 0 {
		err = errors.Join(err, l.close())
	}
	return l, err
}

func (*listener) filetype() filetype        { return typeSocketStream }
func (l *listener) stat() (filestat, error) { return statSocket(l.fd) }

func (l *listener) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fd := l.fd
	l.fd = -1
	return unix.Close(fd)
}

// shut ends accepting, whoever waits for it.
func (l *listener) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd >= 0 {
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR) // it fails only where it was shut before
	}
}

func (*connection) filetype() filetype        { return typeSocketStream }
func (c *connection) stat() (filestat, error) { return statSocket(c.fd) }
func (c *connection) close() error {
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

func statSocket(fd int) (filestat, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return statOf(&st), err
}

// receive is the transfer from the connection.
func (c *connection) receive(d *descriptor, flags int) transfer {
	return transfer{fd: c.fd, call: unix.SYS_RECVMSG, flags: flags | unix.MSG_DONTWAIT, events: unix.POLLIN, nonblock: d.flags&flagNonblock != 0}
}

// send is the transfer to the connection. Where the guest did not ask otherwise, it ends when all is sent.
func (c *connection) send(d *descriptor) transfer {
	return transfer{fd: c.fd, call: unix.SYS_SENDMSG, flags: unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT, events: unix.POLLOUT, nonblock: d.flags&flagNonblock != 0, whole: true}
}

// takeListeners takes over all the sockets, or closes them all.
func takeListeners(list []*net.TCPListener) (all []*listener, err error) {
	for i, from := range list {
		l, err := newListener(from)
		if err != nil {
			err = fmt.Errorf("listening socket %d, %s: %w", i, from.Addr(), err)
			for _, l := range all {
				err = errors.Join(err, l.close())
			}
			closeListeners(list[i:])
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// closeListeners closes sockets that were not taken over. One that is closed already is no harm.
func closeListeners(list []*net.TCPListener) {
	for _, l := range list {
		_ = l.Close()
	}
}

// Variables that tell a guest of its listening sockets, as sd_listen_fds(3) has them. LISTEN_PID is left out: a guest
// has no process id, and what its libc makes up for one differs (3 in Go, 42 in wasi-libc).
const (
	listenFDs   = "LISTEN_FDS"     // how many there are, from descriptor 3 on
	listenNames = "LISTEN_FDNAMES" // a name for each, with colons between: its port
)

// listenEnvironment replaces the variables.
func listenEnvironment(env []string, list []*net.TCPListener) []string {
	if len(list) == 0 {
		return env
	}
	out := make([]string, 0, len(env)+2)
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); name != listenFDs && name != listenNames {
			out = append(out, e)
		}
	}
	ports := make([]string, 0, len(list))
	for _, l := range list {
		port := 0
		if addr, ok := l.Addr().(*net.TCPAddr); ok {
			port = addr.Port
		}
		ports = append(ports, strconv.Itoa(port))
	}
	return append(out, listenFDs+"="+strconv.Itoa(len(list)), listenNames+"="+strings.Join(ports, ":"))
}
