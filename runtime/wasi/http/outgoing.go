package http

import (
	"context"
	"errors"
	"io"
	"math"
	nethttp "net/http"
	"strings"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
)

// Outgoing is a request that a guest sends. A binding makes it, and gives it to a Sender. From then
// on the fields are not changed. Its methods do not wait, and any goroutine may call them.
type Outgoing struct {
	Method        string
	Scheme        string // http or https
	Authority     string
	PathWithQuery string
	Headers       []Field
	// Body has the bytes of the request, and then its trailers. The guest writes it, also before
	// Send. It is nil if there is no body.
	Body     *Pipe
	Timeouts client.Timeouts

	// Response is the body of the response, from when there is a Head. When the guest closes it,
	// the request is over. It is set by Send.
	Response *Pipe

	mu      sync.Mutex
	changed func()
	cancel  context.CancelFunc
	head    *Head
	failed  error
	// whole says that the request's body was sent, and lost that it was not.
	whole  bool
	lost   error
	onSent func(error)
}

// ErrDenied is the error of a guest that may send no request.
var ErrDenied = &client.Error{Code: client.RequestDenied}

// Methods are the methods that WASI has cases for, in their order.
var Methods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// Timeout is a time-out of a guest, in nanoseconds, as a Client has it.
func Timeout(d typed.Option[uint64]) time.Duration {
	if !d.Is {
		return 0 // the default
	}
	return time.Duration(min(max(d.Value, 1), math.MaxInt64))
}

// Check returns what is wrong with a request before it is sent: a *client.Error.
func (o *Outgoing) Check() error {
	code := client.RequestURIInvalid
	switch {
	case o.Scheme != "http" && o.Scheme != "https":
		code = client.ProtocolError
	case !IsMethod(o.Method) || o.Method == nethttp.MethodConnect:
		code = client.RequestMethodInvalid
	case !IsAuthority(o.Authority) || strings.Contains(o.Authority, "@"):
	case o.PathWithQuery != "" && (!IsPath(o.PathWithQuery) || strings.IndexByte("/?*", o.PathWithQuery[0]) < 0):
	default:
		if length, err := ContentLength(o.Headers); err != nil || length > 0 && o.Body == nil {
			code = client.RequestBodySize
			break
		}
		return nil
	}
	return &client.Error{Code: code}
}

// OnHead has f called once, when Head has something: by another goroutine, or at once. A later
// OnHead replaces it, also by nil.
func (o *Outgoing) OnHead(f func()) {
	o.mu.Lock()
	o.changed = f
	if f != nil && (o.head != nil || o.failed != nil) {
		o.changed = nil
	} else {
		f = nil
	}
	o.mu.Unlock()
	call(f)
}

// Head returns the head of the response, or why there is none: a *client.Error. Both are nil before
// that.
func (o *Outgoing) Head() (*Head, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.head, o.failed
}

// OnSent has f called once, when the request was sent, or with the reason why it was not: by
// another goroutine, or at once.
func (o *Outgoing) OnSent(f func(error)) {
	o.mu.Lock()
	o.onSent = f
	o.mu.Unlock()
	o.tellSent()
}

// tellSent tells how the request was sent, if that is known.
func (o *Outgoing) tellSent() {
	o.mu.Lock()
	f, err := o.onSent, o.failed
	switch {
	case f == nil:
	case err != nil:
		o.onSent = nil
	case o.head != nil && (o.whole || o.lost != nil):
		o.onSent, err = nil, o.lost
	default:
		f = nil
	}
	o.mu.Unlock()
	if f != nil {
		f(err)
	}
}

// Cancel ends the request: the guest wants no response, or no more of it.
func (o *Outgoing) Cancel() {
	o.mu.Lock()
	cancel := o.cancel
	o.mu.Unlock()
	if cancel != nil {
		cancel()
		o.Response.Close(nil)
	}
}

// answer gives the head, or the error, to the guest.
func (o *Outgoing) answer(h *Head, err error) {
	o.mu.Lock()
	o.head, o.failed = h, err
	tell := o.changed
	o.changed = nil
	o.mu.Unlock()
	call(tell)
	o.tellSent()
}

// sentBody notes how the request's body has ended.
func (o *Outgoing) sentBody(err error) {
	o.mu.Lock()
	if !o.whole && o.lost == nil {
		o.whole, o.lost = err == nil, err
	}
	o.mu.Unlock()
	o.tellSent()
}

// uploadBody is the body of a request as a client reads it.
type uploadBody struct {
	of      *Outgoing
	trailer nethttp.Header
	bytes   chan struct{}
}

// Read implements io.Reader. It waits for bytes of the guest.
func (b *uploadBody) Read(p []byte) (int, error) {
	pipe := b.of.Body
	for {
		some, err := pipe.Bytes()
		switch {
		case err == nil:
			n := copy(p, some)
			pipe.Discard(n)
			return n, nil
		case errors.Is(err, io.EOF):
			b.trail()
			b.of.sentBody(nil)
			return 0, io.EOF
		case !isWait(err):
			b.of.sentBody(uploadError(err))
			return 0, uploadError(err)
		}
		pipe.OnBytes(func() {
			select {
			case b.bytes <- struct{}{}:
			default:
			}
		})
		<-b.bytes
	}
}

// trail fills the trailers. net/http reads them after the end of the body.
func (b *uploadBody) trail() {
	for _, f := range TrailersOf(b.of.Body.Trailers()) {
		name := nethttp.CanonicalHeaderKey(f.A)
		b.trailer[name] = append(b.trailer[name], string(f.B))
	}
}

// Close implements io.Closer: nothing is read any more.
func (b *uploadBody) Close() error {
	b.of.sentBody(&client.Error{Code: client.ConnectionTerminated})
	b.of.Body.Free()
	return nil
}

// uploadError is the error of a body that the guest did not finish.
func uploadError(err error) error {
	code := client.ProtocolError
	var size *SizeError
	switch {
	case errors.As(err, &size):
		code = client.RequestBodySize
	case errors.Is(err, ErrNoMemory):
		code = client.InternalError
	case errors.Is(err, io.ErrClosedPipe):
		code = client.ConnectionTerminated
	}
	return &client.Error{Code: code, Err: err}
}
