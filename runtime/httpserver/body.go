package httpserver

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of bodies.
var (
	// ErrBodyTooLarge is the error of a body that is larger than the settings allow. If the handler
	// then returns without an answer, the client gets 413.
	ErrBodyTooLarge = errors.New("reading the body of a request: it is larger than allowed")
	// ErrStalled is the error of a body whose client sends nothing, or takes nothing, for the stall
	// time-out. If the handler then returns without an answer, the client gets 408.
	ErrStalled = errors.New("waiting for a client: no bytes moved for too long")
)

// Interrupt makes reads of the request's body, and writes of the answer, return at once with an
// error: those that wait on other goroutines, and all later ones. The handler that has the writer
// must not have returned, and should end by a panic with http.ErrAbortHandler.
func Interrupt(w http.ResponseWriter) {
	InterruptRead(w)
	interruptWrite(w)
}

// InterruptRead is Interrupt for reads alone. The answer goes on; over HTTP/1.1 it is the last one
// of its connection. The context of the request may end.
func InterruptRead(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(past) // an error means that the connection is closed
}

func interruptWrite(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(past) // as above
}

// requestBody is the body that the handler reads.
type requestBody struct {
	exchange *exchange
	from     io.ReadCloser
	inner    *http.Request // gets the trailers
	eof      atomic.Bool   // all of it was read from the connection

	mu       sync.Mutex // held by a Read; guards the fields below
	left     int64      // how many bytes there may be; negative means any number
	ahead    []byte     // was read, but not by the handler
	err      error      // after ahead
	received int64
	watch    watch
}

// Read reads.
func (b *requestBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ahead) > 0 {
		n = copy(p, b.ahead)
		b.ahead = b.ahead[n:]
		return n, nil
	}
	return b.read(p)
}

// read reads from the connection.
func (b *requestBody) read(p []byte) (n int, err error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.left >= 0 && int64(len(p)) > b.left {
		p = p[:b.left+1]
	}
	x := b.exchange
	waits := x.two || x.conn == nil || !x.conn.between.Load()
	if waits {
		b.watch.begin(x, false)
	}
	n, err = b.from.Read(p)
	if waits && b.watch.end() && err != nil {
		err = ErrStalled
	}
	if b.left >= 0 && int64(n) > b.left {
		n, err = int(b.left), ErrBodyTooLarge
	}
	if b.left >= 0 {
		b.left -= int64(n)
	}
	b.received += int64(n)
	if errors.Is(err, io.EOF) {
		b.inner.Trailer = x.request.Trailer
		b.eof.Store(true)
	}
	b.err = err
	return n, err
}

// Close does nothing: net/http closes the body.
func (b *requestBody) Close() error { return nil }

// failed is why no more can be read.
func (b *requestBody) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// maxAhead is how much of a body is kept for the handler when the answer begins. What has come with
// the head is in a buffer of net/http of that size.
const maxAhead = 4096

// whole reports whether all of the body was read from the connection when the answer begins. What
// is there already is read now, without waiting: small bodies that a handler ignores are frequent,
// and should not cost a connection.
func (b *requestBody) whole() bool {
	if b.eof.Load() {
		return true
	}
	x := b.exchange
	if x.expects || x.conn == nil || !x.conn.between.Load() || !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	ahead := make([]byte, maxAhead+1)
	if n := x.request.ContentLength; n >= 0 && n < maxAhead {
		ahead = ahead[:n+1]
	}
	have := 0
	for have < len(ahead) && b.err == nil {
		n, _ := b.read(ahead[have:]) // b.err has the error
		have += n
	}
	b.ahead = ahead[:have]
	return b.eof.Load()
}

// watch interrupts a read or a write of which no bytes move. One goroutine at a time uses it.
type watch struct {
	exchange *exchange
	write    bool
	timer    *time.Timer

	mu    sync.Mutex // guards the fields below
	until time.Time  // zero if there is nothing to interrupt
	fired bool
}

func (w *watch) begin(x *exchange, write bool) {
	stall := x.server.settings.StallTimeout
	w.mu.Lock()
	w.until = time.Now().Add(stall)
	w.mu.Unlock()
	if w.timer == nil {
		w.exchange, w.write = x, write
		w.timer = time.AfterFunc(stall, w.fire)
		return
	}
	w.timer.Reset(stall)
}

// end reports whether there was an interruption.
func (w *watch) end() bool {
	w.timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Time{}
	return w.fired
}

// fire interrupts. The lock keeps the handler from its end meanwhile: the writer is gone then.
func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.until.IsZero() || time.Now().Before(w.until) {
		return
	}
	w.fired = true
	if w.write {
		interruptWrite(w.exchange.ResponseWriter)
		return
	}
	InterruptRead(w.exchange.ResponseWriter)
}
