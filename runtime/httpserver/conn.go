package httpserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection below TLS. Its writes fail if the client takes nothing for the stall
// time-out, and its owner can end it while it rests.
type conn struct {
	net.Conn
	server     *Server
	prev, next *conn  // guarded by the server
	unwatch    func() // of the Gate; nil without one

	two     atomic.Bool // it speaks HTTP/2
	between atomic.Bool // HTTP/1: no byte of a next request has come that is not complete
	lingers atomic.Bool // the client may still send when the connection closes
	halved  atomic.Bool // nothing more is sent: net/http closes the connection, after a sleep

	mu     sync.Mutex // guards the fields below
	rests  time.Time  // since when there is no request; zero if there is one
	reads  bool       // it waits for bytes
	ending bool       // it ends, as it rests
	taken  taken

	writing sync.Mutex // guards the fields below
	armed   time.Time  // when the deadline for writing was set
	stopped bool       // that deadline is not ours
}

type connKey struct{}

// under is the conn below a connection that net/http has.
func under(c net.Conn) *conn {
	switch c := c.(type) {
	case *guarded:
		return c.conn
	case *guardedTLS:
		return c.conn
	case *tls.Conn:
		own, _ := c.NetConn().(*conn)
		return own
	}
	return nil
}

// stateOf is told by net/http of requests that begin and end.
func stateOf(c net.Conn, state http.ConnState) {
	own := under(c)
	switch {
	case own == nil:
	case state == http.StateActive:
		own.works()
	case state == http.StateIdle:
		own.awaits()
	case state == http.StateClosed:
		own.server.remove(own)
	}
}

// works says that a request is under way.
func (c *conn) works() {
	c.mu.Lock()
	c.rests = time.Time{}
	c.mu.Unlock()
}

// awaits says that no request is under way.
func (c *conn) awaits() {
	now := time.Now()
	c.mu.Lock()
	c.rests = now
	c.mu.Unlock()
}

// Read reads. If the connection was told to end, it looks once more whether a request has come.
func (c *conn) Read(p []byte) (int, error) {
	if !c.enter() {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p)
	if !c.leave() || n > 0 {
		return n, err
	}
	// A deadline that has passed hides bytes. One that is near does not.
	if c.Conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return 0, io.EOF
	}
	if n, _ = c.Conn.Read(p); n == 0 {
		return 0, io.EOF
	}
	c.mu.Lock()
	c.ending = false
	c.mu.Unlock()
	return n, c.Conn.SetReadDeadline(time.Now().Add(c.server.settings.HeaderTimeout))
}

func (c *conn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = !c.ending
	return c.reads
}

func (c *conn) leave() (ending bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = false
	return c.ending
}

// restsSince returns since when the connection waits for a request of which nothing has come.
func (c *conn) restsSince() (since time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rests, c.reads && !c.ending && !c.rests.IsZero() && (c.two.Load() || c.between.Load())
}

// endIfRests ends the connection if it has rested since the time.
func (c *conn) endIfRests(since time.Time) {
	if at, ok := c.restsSince(); !ok || at.After(since) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reads && !c.rests.IsZero() {
		c.ending = true
		_ = c.Conn.SetReadDeadline(past) // an error means that it is closed
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// Write writes. Each time that the client has taken something, it has the whole time-out again.
func (c *conn) Write(p []byte) (written int, err error) {
	for {
		c.arm()
		n, err := c.Conn.Write(p[written:])
		written += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}

// arm sets the deadline for writing, unless that was done lately: it costs a little.
func (c *conn) arm() {
	now, stall := time.Now(), c.server.settings.StallTimeout
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.stopped && now.Sub(c.armed) > stall/8 {
		c.armed = now
		_ = c.Conn.SetWriteDeadline(now.Add(stall)) // an error means that it is closed, and Write says it
	}
}

// SetWriteDeadline replaces the deadline of arm. net/http calls it with zero after each request.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if t.IsZero() {
		if c.stopped {
			c.stopped, c.armed = false, time.Time{}
		}
		return nil
	}
	c.stopped = true
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is what crypto/tls may call.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite says to the client that nothing more comes.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// reset makes the next Close reset the connection.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // an error means that it is closed
	}
}

// cut closes the connection at once.
func (c *conn) cut() { _ = c.Conn.Close() } // an error means that it is closed

const (
	// lingering is how long, and lingerBytes how much of what a client sends is thrown away before its
	// connection closes. If bytes were left in the kernel, it would reset the connection, and the
	// client might lose the answer.
	lingering   = time.Second
	lingerBytes = 256 << 10
)

// linger says by half that nothing more comes, and throws away what the client still sends.
func (c *conn) linger(half func() error) {
	if !c.lingers.Swap(false) || c.server.closed.Load() || half() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(lingering)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // the client closes, or the time has passed
	}
}

// guarded is a connection of which net/http reads only what the guard has seen.
type guarded struct {
	*conn
	encrypted *tls.Conn // nil without TLS
	guard     guard
	bad       int // bytes of refuse
}

func newGuarded(c *conn, encrypted *tls.Conn) *guarded {
	c.between.Store(true)
	g := &guarded{conn: c, encrypted: encrypted}
	g.guard.plain, g.guard.most = encrypted == nil, int(c.server.settings.MaxHeader)+8192
	return g
}

// Read reads.
func (g *guarded) Read(p []byte) (n int, err error) {
	if g.guard.err != nil {
		return g.refuse(p)
	}
	if g.encrypted != nil {
		n, err = g.encrypted.Read(p)
	} else {
		n, err = g.conn.Read(p)
	}
	if n == 0 || g.guard.state == passing {
		return n, err
	}
	good := g.guard.scan(p[:n])
	g.between.Store(g.guard.between())
	if g.guard.two {
		g.two.Store(true)
		if !g.take(twoCost) {
			return 0, errMemory
		}
	}
	if !g.comes(g.guard.head) {
		return 0, errMemory
	}
	if good == 0 && g.guard.err != nil && n > 1 {
		return g.Read(p)
	}
	if g.guard.err != nil && n > 1 {
		return good, nil // a read of one byte is net/http's, to see whether the client has gone
	}
	return n, err
}

// refuse gives net/http a few bytes that no request has, and then an error. An error alone would
// end the request that is under way, which is good, and the connection would close without a 400.
func (g *guarded) refuse(p []byte) (n int, err error) {
	if zeros := [4]byte{}; g.bad < len(zeros) {
		n = copy(p, zeros[g.bad:])
		g.bad += n
		return n, nil
	}
	g.lingers.Store(true)
	g.server.says.say(sayFraming)
	return 0, g.guard.err
}

// CloseWrite says to the client that nothing more comes.
func (g *guarded) CloseWrite() error {
	g.halved.Store(true)
	if g.server.closed.Load() {
		tell(g.server.gone)
	}
	if g.encrypted != nil {
		return g.encrypted.CloseWrite()
	}
	return g.conn.CloseWrite()
}

// Close closes, after what is left was thrown away.
func (g *guarded) Close() error {
	g.linger(g.CloseWrite)
	if g.encrypted != nil {
		return g.encrypted.Close()
	}
	return g.conn.Conn.Close()
}

// guardedTLS is a guarded connection with TLS. net/http looks for ConnectionState.
type guardedTLS struct{ *guarded }

// Write encrypts and writes.
func (g *guardedTLS) Write(p []byte) (int, error) { return g.encrypted.Write(p) }

// ConnectionState is that of TLS.
func (g *guardedTLS) ConnectionState() tls.ConnectionState { return g.encrypted.ConnectionState() }
