//go:build wasip1

package wasinet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// Dial connects to an address: network is tcp or udp, perhaps with 4 or 6 after it.
func Dial(network, to string) (net.Conn, error) {
	return DialContext(context.Background(), network, to)
}

// DialContext is Dial until ctx ends. It tries the addresses of a name one after the other.
func DialContext(ctx context.Context, network, to string) (net.Conn, error) {
	all, err := resolve(network, to)
	if err != nil {
		return nil, fmt.Errorf("dialing %s %s: %w", network, to, err)
	}
	var failed error
	for _, a := range all {
		c, err := connect(ctx, kindOf(network), a)
		if err == nil {
			return c, nil
		}
		failed = errors.Join(failed, fmt.Errorf("dialing %s %s: %w", network, a, err))
	}
	return nil, failed
}

func kindOf(network string) uint32 {
	if strings.HasPrefix(network, "udp") {
		return datagrams
	}
	return stream
}

// open makes a socket that does not block the program.
func open(kind uint32, family uint32) (*os.File, uint32, error) {
	var fd uint32
	if err := number(sockOpen(family, kind, &fd)); err != nil {
		return nil, 0, err
	}
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return nil, 0, err
	}
	return os.NewFile(uintptr(fd), "socket"), fd, nil
}

// connection has the addresses, which Go's own does not know here.
type connection struct {
	net.Conn
	from, to net.Addr
}

func (c *connection) LocalAddr() net.Addr  { return c.from }
func (c *connection) RemoteAddr() net.Addr { return c.to }

// CloseWrite ends the direction to the other end.
func (c *connection) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return errors.ErrUnsupported
}

func connect(ctx context.Context, kind uint32, to netip.AddrPort) (net.Conn, error) {
	f, fd, err := open(kind, familyOf(to.Addr()))
	if err != nil {
		return nil, err
	}
	defer f.Close() // the connection has its own
	if end, ok := ctx.Deadline(); ok {
		if err := f.SetWriteDeadline(end); err != nil {
			return nil, err
		}
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	a := newAddress(to.Addr())
	var failed error
	if err := raw.Write(func(uintptr) bool {
		failed = number(sockConnect(fd, a.pointer(), uint32(to.Port())))
		return failed != syscall.EINPROGRESS
	}); err != nil || failed != nil {
		return nil, errors.Join(err, failed)
	}
	if err := f.SetWriteDeadline(noTime); err != nil {
		return nil, err
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	if kind == datagrams {
		return &connection{c, net.UDPAddrFromAddrPort(local(fd)), net.UDPAddrFromAddrPort(to)}, nil
	}
	return &connection{c, net.TCPAddrFromAddrPort(local(fd)), net.TCPAddrFromAddrPort(to)}, nil
}

// Listen listens at an address. Go's own listener does not know its address here, so that is
// returned, too.
func Listen(at netip.AddrPort) (net.Listener, netip.AddrPort, error) {
	f, fd, err := open(stream, familyOf(at.Addr()))
	if err != nil {
		return nil, at, err
	}
	defer f.Close() // the listener has its own
	if err := number(sockBind(fd, newAddress(at.Addr()).pointer(), uint32(at.Port()))); err != nil {
		return nil, at, err
	}
	if err := number(sockListen(fd, 128)); err != nil {
		return nil, at, err
	}
	l, err := net.FileListener(f)
	return l, local(fd), err
}
