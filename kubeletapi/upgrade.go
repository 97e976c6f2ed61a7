package kubeletapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/streaming/pkg/httpstream"
)

// errClientGone ends the context of a request whose client has closed its connection.
var errClientGone = errors.New("the client has gone")

const (
	// streamBuffer holds what comes in on a connection that carries streams, in bytes.
	streamBuffer = 32 << 10
	// lingering is how long the end of a connection waits for a client that has not read all of it yet.
	lingering = 2 * time.Second
)

// upgraded serves requests that turn their connection into one of streams, which serve does. net/http gives up such a
// connection, and with it the end of the request's context when the client goes, the wait for its end at a shutdown,
// and its closing. All three are brought back here: what serve gets behaves as any other request.
func (s *Server) upgraded(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) {
	if r.ProtoMajor != 1 || !httpstream.IsUpgradeRequest(r) {
		writeError(w, apierrors.NewBadRequest("this page needs a connection that is upgraded to streams, by HTTP/1.1 and the headers Connection and Upgrade"))
		return
	}
	if !s.upgrades.begin() {
		writeError(w, errShutdown())
		return
	}
	defer s.upgrades.end()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	u := &upgrade{ResponseWriter: w, gone: func() { cancel(errClientGone) }}
	u.taken = func(conn net.Conn) {
		// What is to end does not wait for a client that does not read.
		context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Now().Add(lingering)) })
	}
	defer u.finish()
	serve(u, r.WithContext(ctx))
}

func errShutdown() error {
	return apierrors.NewServiceUnavailable("the node's agent is shutting down")
}

// upgrade is a ResponseWriter whose connection can be taken over, whatever is around the one of net/http. It hides that one:
// it has no Unwrap.
type upgrade struct {
	http.ResponseWriter
	taken func(net.Conn) // called by Hijack
	gone  func()
	conn  *streamConn // nil until Hijack
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// Not Peek's memory: the buffer belongs to net/http.
	early := make([]byte, buffered.Reader.Buffered())
	if _, err := io.ReadFull(buffered.Reader, early); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	u.taken(conn)
	u.conn = &streamConn{Conn: conn, early: early, gone: u.gone}
	return u.conn, bufio.NewReadWriter(bufio.NewReaderSize(u.conn, streamBuffer), bufio.NewWriter(u.conn)), nil
}

// finish closes the connection, once the client has read what was written.
func (u *upgrade) finish() {
	if u.conn == nil {
		return
	}
	_ = u.conn.Close()
	// To close a connection from which not all was read would take back what the client has not got yet.
	_, _ = io.Copy(io.Discard, u.conn.Conn)
	_ = u.conn.Conn.Close()
}

// streamConn is a connection of streams, from which some library reads until it ends or says that it will, and then the
// library closes it: that is how it is learned that the client has gone.
type streamConn struct {
	net.Conn
	early  []byte // came with the request
	gone   func() // called when nothing is read any more
	closed atomic.Bool
	once   sync.Once
}

func (c *streamConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	for {
		n, err := c.Conn.Read(p)
		if err != nil {
			c.gone()
			return n, err
		}
		if !c.closed.Load() {
			return n, nil
		}
	}
}

// Close ends the output. What still comes in is dropped, until the client closes the connection or has lingered.
func (c *streamConn) Close() error {
	c.once.Do(func() {
		c.closed.Store(true)
		c.gone()
		_ = c.SetDeadline(time.Now().Add(lingering))
		half, ok := c.Conn.(*tls.Conn)
		if !ok {
			return
		}
		_ = half.CloseWrite()
		if tcp, ok := half.NetConn().(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	})
	return nil
}

// upgrades counts the connections that net/http has given up, so that a shutdown can wait for them.
type upgrades struct {
	mu   sync.Mutex
	shut bool
	work sync.WaitGroup
}

// begin says no when the server shuts down.
func (u *upgrades) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.shut {
		u.work.Add(1)
	}
	return !u.shut
}

func (u *upgrades) end() { u.work.Done() }

// wait waits until all have ended, or ctx has. No more begin.
func (u *upgrades) wait(ctx context.Context) error {
	u.mu.Lock()
	u.shut = true
	u.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		u.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
