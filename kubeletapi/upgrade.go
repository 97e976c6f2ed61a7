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
	// streamBuffer holds what comes in on a connection that carries streams, in bytes.
	streamBuffer = 32 << 10
	// lingering is how long a closing connection waits for a client that has not read everything
	// yet. endingSoon is the same for a request that must end.
	lingering  = 10 * time.Second
	endingSoon = time.Second
)

// upgraded serves requests that turn their connection into one of streams, which serve does.
// net/http gives up such a connection. Then it neither ends the request's context when the client
// closes the connection, nor closes it itself. Both are done here, so that the request of serve
// behaves as any other.
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
	_, _ = w.Write(text) // a client that has closed its connection
}

func errShutdown() error {
	return apierrors.NewServiceUnavailable("the node's agent is shutting down")
}

// upgrade is a ResponseWriter whose connection a handler can take, whatever wraps the writer of
// net/http. It hides that writer: it has no Unwrap.
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
	// Not Peek's memory: the buffer belongs to net/http.
	early := make([]byte, buffered.Reader.Buffered())
	if _, err := io.ReadFull(buffered.Reader, early); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	if answer, ok := u.ResponseWriter.(*response); ok {
		answer.code = http.StatusSwitchingProtocols // also where the library writes it to the connection itself
	}
	u.conn = &streamConn{Conn: conn, ctx: u.ctx, early: early, gone: u.gone}
	// A request that must end waits neither for a client that does not read, nor for a library that
	// ignores contexts.
	context.AfterFunc(u.ctx, u.conn.endSoon)
	return u.conn, bufio.NewReadWriter(bufio.NewReaderSize(u.conn, streamBuffer), bufio.NewWriter(u.conn)), nil
}

// finish closes the connection, once the client has read what was written.
func (u *upgrade) finish() {
	if u.conn == nil {
		return
	}
	_ = u.conn.Close()
	// Closing a connection with unread input would discard what the client has not received yet.
	_, _ = io.Copy(io.Discard, u.conn.Conn)
	_ = u.conn.Conn.Close()
}

// streamConn is a connection of streams. A library reads from it until it ends, or until the client
// announces its end, and then closes it. That tells the server that the client has closed the
// connection.
type streamConn struct {
	net.Conn
	ctx    context.Context //nolint:containedctx // the request's
	early  []byte          // came with the request
	gone   func()          // called when nothing is read any more
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
			c.endSoon() // a Write that waits for the client
			c.gone()
			return n, err
		}
		if !c.closed.Load() {
			return n, nil
		}
	}
}

// endSoon ends what is under way on the connection.
func (c *streamConn) endSoon() { _ = c.SetDeadline(time.Now().Add(endingSoon)) }

// Close ends the output. What still comes in is dropped, until the client closes the connection or
// has lingered.
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
