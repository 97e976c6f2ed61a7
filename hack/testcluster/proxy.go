package testcluster

import (
	"context"
	"io"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Proxy is a TCP proxy before the API server, for tests of a lost connection. The API server's
// certificate is valid for the proxy's address. The proxy is open at first, and ends with its test.
// Several goroutines may call its methods at the same time.
type Proxy struct {
	t      testing.TB
	target string
	addr   string

	mu sync.Mutex
	// listener is nil while the proxy is cut.
	listener net.Listener
	conns    map[net.Conn]struct{}
	// running counts the goroutines that accept and copy.
	running sync.WaitGroup
}

// Proxy starts a proxy on a free port of 127.0.0.1.
func (c *Cluster) Proxy(t testing.TB) *Proxy {
	t.Helper()
	return c.ProxyAt(t, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

// ProxyAt starts a proxy on a free port of an IPv4 address that the machine has.
func (c *Cluster) ProxyAt(t testing.TB, address netip.Addr) *Proxy {
	t.Helper()
	target, err := url.Parse(c.config.Host)
	if err != nil {
		t.Fatalf("testcluster: the API server's address: %v", err)
	}
	port, err := reservePort(t, address)
	if err != nil {
		t.Fatalf("testcluster: finding a port for a proxy: %v", err)
	}
	p := &Proxy{
		t:      t,
		target: target.Host,
		addr:   netip.AddrPortFrom(address, port).String(),
		conns:  map[net.Conn]struct{}{},
	}
	p.Restore()
	t.Cleanup(func() {
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Addr is the proxy's address, as host:port.
func (p *Proxy) Addr() string { return p.addr }

// Cut closes every connection. Until Restore, new connections are refused.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return
	}
	_ = p.listener.Close()
	p.listener = nil
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// Restore accepts new connections again, at the same address.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return
	}
	listener, err := sharedListener().Listen(context.Background(), "tcp4", p.addr)
	if err != nil {
		p.t.Errorf("testcluster: restoring a proxy: %v", err)
		return
	}
	p.listener = listener
	p.running.Go(func() { p.accept(listener) })
}

// accept serves one listener until it is closed.
func (p *Proxy) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(listener, conn) })
	}
}

func (p *Proxy) serve(listener net.Listener, conn net.Conn) {
	if !p.keep(listener, conn) {
		return
	}
	defer p.drop(conn)
	upstream, err := net.DialTimeout("tcp4", p.target, 10*time.Second)
	if err != nil || !p.keep(listener, upstream) {
		return
	}
	defer p.drop(upstream)
	var copying sync.WaitGroup
	copying.Go(func() { pass(conn, upstream) })
	copying.Go(func() { pass(upstream, conn) })
	copying.Wait()
}

// keep notes a connection for Cut. If the listener was cut in the meantime, it closes the
// connection and returns false.
func (p *Proxy) keep(listener net.Listener, conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != listener {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = conn.Close()
	delete(p.conns, conn)
}

// pass copies one direction and passes on its end.
func pass(from, to net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		// If one direction is broken, the other one is broken too.
		_ = from.Close()
		_ = to.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// reservePort reserves a free port of 127.0.0.1 until the end of the test, by a socket that is
// bound and never listens. So while the proxy is cut, the kernel gives the port to no other
// process. It also does not give it to a client as the client's own port: such a client would
// connect to itself.
func reservePort(t testing.TB, address netip.Addr) (uint16, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: address.As4()}); err != nil {
		return 0, err
	}
	// This comes after the bind, so the bind was exclusive. The listener shares the port.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return 0, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return uint16(name.(*unix.SockaddrInet4).Port), nil
}

// sharedListener listens on a port that reservePort has reserved.
func sharedListener() *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var failed error
		if err := conn.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); err != nil {
			return err
		}
		return failed
	}}
}
