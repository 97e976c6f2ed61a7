package kubeletapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/streaming/pkg/httpstream"
)

// errClientGone ends the context of a request whose client has closed its connection.
var errClientGone = errors.New("the client has gone")

const (
	// streamBuffer is the size of the buffer for input on a connection that carries streams, in
	// bytes.
	streamBuffer = 32 << 10
	// lingering is how long a closing connection waits for a client that has not read everything
	// yet. endingSoon is the same for a request that must end.
	lingering  = 10 * time.Second
	endingSoon = time.Second
)

// upgraded serves a request that turns its connection into one of streams. serve does the work.
// net/http gives up such a connection. Then it neither ends the request's context when the client
// closes the connection, nor closes the connection itself. upgraded does both, so that serve sees a
// request like any other.
func (s *Server) upgraded(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) {
	if r.ProtoMajor != 1 || !httpstream.IsUpgradeRequest(r) {
		writeStatus(w, apierrors.NewBadRequest("this page needs a connection that is upgraded to streams, by HTTP/1.1 and the headers Connection and Upgrade"))
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	u := &upgrade{ResponseWriter: w, ctx: r.Context(), gone: func() { cancel(errClientGone) }}
	defer u.finish()
	serve(u, r.WithContext(ctx))
}

// writeStatus answers with err as a v1 Status, which clients of streams expect. They turn plain
// text with a colon into a Status without a message.
func writeStatus(w http.ResponseWriter, err error) {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		status = apierrors.NewInternalError(err)
	}
	answer := status.Status()
	answer.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	text, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(answer.Code))
	_, _ = w.Write(text) // an error means that the client has closed its connection
}

func errShutdown() error {
	return apierrors.NewServiceUnavailable("the node's agent is shutting down")
}

// upgrade is a ResponseWriter from which a handler can take the connection, whatever wraps the
// writer of net/http. It has no Unwrap, so that it hides that writer.
type upgrade struct {
	http.ResponseWriter
	ctx  context.Context //nolint:containedctx // the request's
	gone func()
	conn *streamConn // nil until Hijack
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// Peek would return memory that belongs to net/http.
	early := make([]byte, buffered.Reader.Buffered())
	if _, err := io.ReadFull(buffered.Reader, early); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	if answer, ok := u.ResponseWriter.(*response); ok {
		answer.code = http.StatusSwitchingProtocols // the library may write this code directly to the connection
	}
	u.conn = &streamConn{Conn: conn, ctx: u.ctx, early: early, gone: u.gone}
	// A request that must end does not wait for a client that does not read, or for a library that
	// ignores contexts.
	context.AfterFunc(u.ctx, u.conn.endSoon)
	return u.conn, bufio.NewReadWriter(bufio.NewReaderSize(u.conn, streamBuffer), bufio.NewWriter(u.conn)), nil
}

// finish closes the connection, after the client has read the output.
func (u *upgrade) finish() {
	if u.conn == nil {
		return
	}
	_ = u.conn.Close()
	// If a connection with unread input is closed, the client may lose output that it has not
	// received yet.
	_, _ = io.Copy(io.Discard, u.conn.Conn)
	_ = u.conn.Conn.Close()
}

// streamConn is a connection of streams. A library reads from it until it ends, or until the client
// says that it ends. Then the library closes it. So the server knows that the client has closed the
// connection.
type streamConn struct {
	net.Conn
	ctx    context.Context //nolint:containedctx // the request's
	early  []byte          // bytes that came with the request
	gone   func()          // called when no more is read
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
			c.endSoon() // to end a Write that waits for the client
			c.gone()
			return n, err
		}
		if !c.closed.Load() {
			return n, nil
		}
	}
}

// endSoon ends reads and writes on the connection after a short time.
func (c *streamConn) endSoon() { _ = c.SetDeadline(time.Now().Add(endingSoon)) }

// Close ends the output. It drops further input, until the client closes the connection or the time
// of lingering has passed.
func (c *streamConn) Close() error {
	c.once.Do(func() {
		c.closed.Store(true)
		if c.ctx.Err() == nil {
			_ = c.SetDeadline(time.Now().Add(lingering))
		}
		c.gone()
		half, ok := c.Conn.(*tls.Conn)
		if !ok {
			return
		}
		_ = half.CloseWrite()
		if tcp, ok := half.NetConn().(interface{ CloseWrite() error }); ok {
			_ = tcp.CloseWrite()
		}
	})
	return nil
}
