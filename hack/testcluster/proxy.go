package testcluster

import (
	"context"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Proxy is a TCP proxy in front of the API server, for tests of what happens
// when the connection to it is lost. The API server's certificate is valid for
// its address. It starts restored and ends with its test; its methods may be
// called from several goroutines at once.
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
	target, err := url.Parse(c.config.Host)
	if err != nil {
		t.Fatalf("testcluster: the API server's address: %v", err)
	}
	port, err := reservePort(t)
	if err != nil {
		t.Fatalf("testcluster: finding a port for a proxy: %v", err)
	}
	p := &Proxy{
		t:      t,
		target: target.Host,
		addr:   net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
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

// Cut drops every connection and lets new ones be refused until Restore.
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

// Restore lets new connections through again, at the same address.
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

// accept serves one life of the listener.
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

// keep remembers a connection for Cut. It refuses, and closes, one whose
// listener was cut meanwhile.
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

// pass copies one direction and hands its end on.
func pass(from, to net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		// A broken connection is broken in both directions.
		_ = from.Close()
		_ = to.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// reservePort takes a free port of 127.0.0.1 until the end of the test. A socket
// that is bound and never listens keeps the kernel from giving the port to
// any other process while the proxy is cut: not even to a client as its own port, so
// that it would connect to itself.
func reservePort(t testing.TB) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	// After the bind, which so was exclusive; the listener shares it.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return 0, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return name.(*unix.SockaddrInet4).Port, nil
}

// sharedListener listens on a port that reservePort holds.
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
