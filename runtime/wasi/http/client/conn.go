package client

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// traffic is what the guest's connections have moved.
type traffic struct{ received, sent, receiveErrors, sendErrors atomic.Int64 }

// Traffic returns what the guest's requests have moved, with TLS and what frames the messages.
func (c *Client) Traffic() wasi.Traffic {
	t := &c.traffic
	return wasi.Traffic{
		Received: t.received.Load(), Sent: t.sent.Load(),
		ReceiveErrors: t.receiveErrors.Load(), SendErrors: t.sendErrors.Load(),
	}
}

// reserve takes the room of a connection. give gives it back.
func (c *Client) reserve() (give func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.connections >= c.cfg.MaxRequests+maxIdle, !c.cfg.Files.Take(c.connections):
		go c.transport.CloseIdleConnections() // for the next one; it must not wait for the mutex
		return nil, &Error{Code: ConnectionLimitReached}
	case !c.takeMemory(ConnectionMemory):
		c.cfg.Files.Give(1)
		return nil, &Error{Code: ConnectionLimitReached}
	}
	c.connections++
	return func() {
		c.mu.Lock()
		c.connections--
		c.mu.Unlock()
		c.cfg.Files.Give(1)
		c.giveMemory(ConnectionMemory)
	}, nil
}

// conn is a connection of the guest.
type conn struct {
	net.Conn
	of   *Client
	room func()
	once sync.Once
	err  error

	losing sync.Once
	lost   chan struct{} // closed when the other end says no more

	mu     sync.Mutex
	stop   func() // ends the watch
	closed bool
}

// adopt makes a connection one of the guest's.
func (c *Client) adopt(raw net.Conn, room func()) (net.Conn, error) {
	k := &conn{Conn: raw, of: c, room: room, lost: make(chan struct{})}
	c.mu.Lock()
	c.conns[k] = struct{}{}
	closed := c.closed
	c.mu.Unlock()
	if closed {
		_ = k.Close()
		return nil, &Error{Code: ConnectionTerminated, Err: errClosed}
	}
	stop := c.cfg.Network.Watch(runtime.TCP, addrPort(raw.LocalAddr()), addrPort(raw.RemoteAddr()), true, func() { _ = k.Close() })
	k.mu.Lock()
	k.stop = stop
	cut := k.closed
	k.mu.Unlock()
	if cut { // before there was something to stop
		stop()
	}
	return k, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// Read implements net.Conn.
func (k *conn) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	k.of.traffic.received.Add(int64(n))
	if err != nil {
		k.losing.Do(func() { close(k.lost) })
	}
	if err != nil && err != io.EOF && !k.isClosed() { //nolint:errorlint // a connection returns it as it is
		k.of.traffic.receiveErrors.Add(1)
	}
	return n, err
}

// Write implements net.Conn.
func (k *conn) Write(p []byte) (int, error) {
	n, err := k.Conn.Write(p)
	k.of.traffic.sent.Add(int64(n))
	if err != nil && !k.isClosed() {
		k.of.traffic.sendErrors.Add(1)
	}
	return n, err
}

// within is the connection of the guest within one that net/http has.
func within(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	k, _ := c.(*conn)
	return k
}

func (k *conn) isClosed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
}

// Close implements net.Conn. It does not wait.
func (k *conn) Close() error {
	k.once.Do(func() {
		k.mu.Lock()
		k.closed = true
		stop := k.stop
		k.mu.Unlock()
		k.err = k.Conn.Close()
		if stop != nil {
			stop()
		}
		c := k.of
		k.room() // before Client.Close can miss the connection
		c.mu.Lock()
		delete(c.conns, k)
		c.mu.Unlock()
	})
	return k.err
}
