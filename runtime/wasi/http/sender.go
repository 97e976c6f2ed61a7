package http

import (
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
)

// Sender sends the requests of one guest. Each has a goroutine until its response has ended.
type Sender struct {
	client *client.Client
	ctx    context.Context //nolint:containedctx // of the guest, whose requests end with it
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu   sync.Mutex
	live map[*Outgoing]struct{} // those with pipes
}

// NewSender makes a Sender. The requests end with ctx. Without a Client, all are denied.
func NewSender(ctx context.Context, c *client.Client) *Sender {
	s := &Sender{client: c, live: map[*Outgoing]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// Close ends all requests, and waits for them. The guest must have ended.
func (s *Sender) Close() {
	s.cancel()
	s.all.Wait()
	s.mu.Lock()
	live := s.live
	s.live = nil
	s.mu.Unlock()
	for o := range live {
		o.free()
	}
}

// Denies reports whether the guest may send no request at all.
func (s *Sender) Denies() bool { return s == nil || s.client == nil }

// Memory is from where bodies of requests take their memory.
func (s *Sender) Memory() Memory {
	if s.Denies() {
		return nil
	}
	return s.client.Memory()
}

// Send begins to send a request. The error is a *client.Error; then the request was not sent, and
// its body is closed. Send is not called after Close.
func (s *Sender) Send(o *Outgoing) error {
	err := o.Check()
	if s.Denies() {
		err = error(ErrDenied)
	}
	if err != nil {
		if o.Body != nil {
			o.Body.Free()
		}
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	o.cancel = cancel
	o.Response = &Pipe{Memory: s.client.Memory()}
	s.mu.Lock()
	s.live[o] = struct{}{}
	s.mu.Unlock()
	s.all.Add(1)
	go func() {
		defer s.all.Done()
		s.run(ctx, o)
	}()
	return nil
}

// run carries the request to its end.
func (s *Sender) run(ctx context.Context, o *Outgoing) {
	response, err := s.client.Do(ctx, request(o))
	if err == nil && !Fits(FieldsOf(response.Header)) {
		err = errors.Join(response.Body.Close(), &client.Error{Code: client.ResponseHeaderSectionSize})
	}
	if err != nil {
		o.answer(nil, err)
		s.end(o)
		o.Response.Close(nil)
		return
	}
	o.Response.OnGone(o.cancel)
	o.answer(&Head{Status: response.Status, Headers: FieldsOf(response.Header)}, nil)
	end := o.receive(ctx, response.Body)
	_ = response.Body.Close() // it has no error that concerns the guest
	if end == nil {
		o.Response.End(TrailersOf(FieldsOf(*response.Trailer)), nil)
	} else {
		o.Response.End(nil, end)
	}
	s.end(o)
}

// end has the pipes freed when the guest has closed the response.
func (s *Sender) end(o *Outgoing) {
	if o.Body != nil {
		o.sentBody(&client.Error{Code: client.ConnectionTerminated}) // nothing if it was sent
		o.Body.Close(nil)
	}
	o.Response.OnGone(func() {
		s.mu.Lock()
		delete(s.live, o)
		s.mu.Unlock()
		o.free()
	})
}

// free gives back what the request has of the guest's memory.
func (o *Outgoing) free() {
	o.cancel()
	o.Response.Free()
	if o.Body != nil {
		o.Body.Free()
	}
}

// receive moves the response's body to the guest. It returns nil at the end of that.
func (o *Outgoing) receive(ctx context.Context, body io.Reader) error {
	room := make(chan struct{}, 1)
	for {
		space, err := o.Response.Space()
		if err != nil {
			return err
		}
		if len(space) == 0 {
			o.Response.OnSpace(func() {
				select {
				case room <- struct{}{}:
				default:
				}
			})
			select {
			case <-room:
			case <-ctx.Done():
				return wasi.ErrKilled
			}
			continue
		}
		n, err := body.Read(space)
		o.Response.Commit(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isWait(err error) bool { return err == wasi.ErrWouldBlock } //nolint:errorlint // a Pipe returns it as it is

// request is the request as a client sends it.
func request(o *Outgoing) *client.Request {
	r := &client.Request{
		Method: o.Method, Scheme: o.Scheme, Authority: o.Authority, Path: o.PathWithQuery, Timeouts: o.Timeouts,
		Header: make(nethttp.Header, len(o.Headers)), Trailer: nethttp.Header{},
	}
	for _, f := range o.Headers {
		name := nethttp.CanonicalHeaderKey(f.A)
		switch {
		case name == "Trailer":
			announce(r.Trailer, string(f.B))
		case name != "Content-Length" && !IsForbidden(strings.ToLower(f.A)):
			r.Header[name] = append(r.Header[name], string(f.B))
		}
	}
	length, _ := ContentLength(o.Headers) // Check has looked
	if o.Body == nil || length == 0 || o.Body.empty() {
		if o.Body != nil {
			o.Body.Free()
		}
		o.whole, r.Trailer = true, nil
		return r
	}
	r.Length = length
	r.Body = &uploadBody{of: o, trailer: r.Trailer, bytes: make(chan struct{}, 1)}
	return r
}

// announce adds the names of a field trailer.
func announce(trailer nethttp.Header, value string) {
	for name := range strings.SplitSeq(value, ",") {
		if name = nethttp.CanonicalHeaderKey(strings.TrimSpace(name)); httpguts.ValidTrailerHeader(name) && IsToken(name) {
			trailer[name] = nil
		}
	}
}
