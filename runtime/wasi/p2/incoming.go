package p2

import (
	"context"
	"errors"
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// Incoming makes the arguments of wasi:http/incoming-handler for an exchange. One exchange at a
// time is the guest's: the server is told of it before the guest waits, until the next one comes.
//
// The exchange has to fit: see http.Exchange. The error is that of a guest that holds too much, so
// that it can answer no more.
func (h *Host) Incoming(e *http.Exchange) (bindings.IncomingRequest, bindings.ResponseOutparam, error) {
	r, err := h.request(e)
	if err != nil {
		return nil, nil, err
	}
	if err := h.web.Take(); err != nil {
		r.Drop()
		return nil, nil, err
	}
	if h.exchange == nil {
		h.guest.BeforeWait(h.publish)
	}
	h.exchange = e
	return r, &responseOutparam{host: h, exchange: e}, nil
}

func (h *Host) request(e *http.Exchange) (*incomingRequest, error) {
	if err := h.web.Take(); err != nil {
		return nil, err
	}
	headers, err := http.Received(&h.web, e.Headers)
	if err != nil {
		h.web.Give()
		return nil, err
	}
	r := &incomingRequest{host: h, exchange: e, headers: headers, texts: http.NewTexts(&h.web)}
	if err := r.texts.Replace("", e.Method+e.Scheme+e.Authority+e.PathWithQuery); err != nil {
		headers.Drop()
		h.web.Give()
		return nil, err
	}
	r.body = inflow{host: h, pipe: e.Body, users: 1}
	return r, nil
}

// publish tells the server what the guest has written for it.
func (h *Host) publish() {
	if h.exchange != nil {
		h.exchange.Publish()
	}
}

// incomingRequest is the resource incoming-request of wasi:http.
type incomingRequest struct {
	host     *Host
	exchange *http.Exchange
	headers  *http.Fields
	texts    http.Texts
	body     inflow
	consumed bool
}

// Drop implements typed.Resource.
func (r *incomingRequest) Drop() {
	if !r.consumed {
		r.body.leave()
	}
	r.texts.Drop()
	r.headers.Drop()
	r.host.web.Give()
}

var methods = map[string]bindings.MethodCase{
	"GET": bindings.MethodGet, "HEAD": bindings.MethodHead, "POST": bindings.MethodPost, "PUT": bindings.MethodPut,
	"DELETE": bindings.MethodDelete, "CONNECT": bindings.MethodConnect, "OPTIONS": bindings.MethodOptions,
	"TRACE": bindings.MethodTrace, "PATCH": bindings.MethodPatch,
}

// Method implements bindings.IncomingRequest.
func (r *incomingRequest) Method(context.Context) (bindings.Method, error) {
	if c, ok := methods[r.exchange.Method]; ok {
		return bindings.Method{Case: c}, nil
	}
	return bindings.Method{Case: bindings.MethodOther, Other: r.exchange.Method}, nil
}

// PathWithQuery implements bindings.IncomingRequest.
func (r *incomingRequest) PathWithQuery(context.Context) (typed.Option[string], error) {
	return some(r.exchange.PathWithQuery), nil
}

// Scheme implements bindings.IncomingRequest.
func (r *incomingRequest) Scheme(context.Context) (s typed.Option[bindings.Scheme], err error) {
	switch r.exchange.Scheme {
	case "":
		return s, nil
	case "http":
		return typed.Some(bindings.Scheme{Case: bindings.SchemeHTTP}), nil
	case "https":
		return typed.Some(bindings.Scheme{Case: bindings.SchemeHTTPS}), nil
	}
	return typed.Some(bindings.Scheme{Case: bindings.SchemeOther, Other: r.exchange.Scheme}), nil
}

// Authority implements bindings.IncomingRequest.
func (r *incomingRequest) Authority(context.Context) (typed.Option[string], error) {
	return some(r.exchange.Authority), nil
}

func some(text string) typed.Option[string] { return typed.Option[string]{Is: text != "", Value: text} }

// Headers implements bindings.IncomingRequest.
func (r *incomingRequest) Headers(context.Context) (bindings.Headers, error) {
	return resource(r.headers.View())
}

// Consume implements bindings.IncomingRequest. A request has one body.
func (r *incomingRequest) Consume(context.Context) (bindings.IncomingBody, error) {
	return r.body.consume(&r.consumed)
}

// consume is the body of a message, which has one.
func (f *inflow) consume(consumed *bool) (bindings.IncomingBody, error) {
	if *consumed {
		return nil, typed.ErrFailed
	}
	if err := f.host.web.Take(); err != nil {
		return nil, err
	}
	*consumed = true
	return &incomingBody{of: f}, nil
}

// incomingBody is the resource incoming-body of wasi:http.
type incomingBody struct {
	of     *inflow
	taken  bool
	stream *inputStream
}

// Drop implements typed.Resource.
func (b *incomingBody) Drop() {
	b.of.leave()
	b.of.host.web.Give()
}

// Stream implements bindings.IncomingBody. A body has one stream.
func (b *incomingBody) Stream(context.Context) (bindings.InputStream, error) {
	if b.taken {
		return nil, typed.ErrFailed
	}
	if err := b.of.host.take(streams); err != nil {
		return nil, err
	}
	b.of.users++
	b.taken, b.stream = true, &inputStream{host: b.of.host, body: b.of}
	return b.stream, nil
}

// IncomingBodyFinish implements bindings.HTTPHost. It owns the body, and ends its stream.
func (web) IncomingBodyFinish(_ context.Context, b bindings.IncomingBody) (bindings.FutureTrailers, error) {
	body := b.(*incomingBody)
	if body.stream != nil {
		body.stream.closed = true
	}
	return &futureTrailers{of: body.of}, nil // it has the body's place in the room
}

// futureTrailers is the resource future-trailers of wasi:http. The trailers come after the body, so
// what the guest did not read of that is lost.
type futureTrailers struct {
	of    *inflow
	taken bool
}

// Drop implements typed.Resource.
func (f *futureTrailers) Drop() {
	f.of.leave()
	f.of.host.web.Give()
}

// Subscribe implements bindings.FutureTrailers.
func (f *futureTrailers) Subscribe(context.Context) (bindings.Pollable, error) {
	return f.of.host.pollable(pollable{signal: f})
}

// maxDrain is how many pieces of a body one look drains, as its client may send without an end.
const maxDrain = 16

// end drains the body, and returns how it ended, or wasi.ErrWouldBlock.
func (f *futureTrailers) end() error {
	if f.of.pipe == nil {
		return io.EOF
	}
	for range maxDrain {
		b, err := f.of.pipe.Bytes()
		if err != nil {
			return err
		}
		f.of.pipe.Discard(len(b))
	}
	return wasi.ErrWouldBlock
}

// Ready implements wasi.Signal.
func (f *futureTrailers) Ready() bool { return !wouldBlock(f.end()) }

// Notify implements wasi.Signal.
func (f *futureTrailers) Notify(tell func()) { f.of.Notify(tell) }

// Get implements bindings.FutureTrailers. The trailers can be had once.
func (f *futureTrailers) Get(context.Context) (got typed.Option[typed.Result[typed.Result[typed.Option[bindings.Trailers], bindings.HTTPErrorCode], typed.None]], _ error) {
	if f.taken {
		got.Is, got.Value.Failed = true, true
		return got, nil
	}
	end := f.end()
	if wouldBlock(end) {
		return got, nil
	}
	f.taken, got.Is = true, true
	result := &got.Value.OK
	if !errors.Is(end, io.EOF) {
		result.Failed, result.Error = true, codeOf(end, bindings.HTTPErrorCodeConnectionReadTimeout)
		return got, nil
	}
	if f.of.pipe == nil {
		return got, nil
	}
	list := f.of.pipe.Trailers()
	if len(list) == 0 {
		return got, nil
	}
	if !http.Fits(list) {
		result.Failed, result.Error = true, bindings.HTTPErrorCode{Case: f.of.trailerSize()}
		return got, nil
	}
	trailers, err := resource(http.Received(&f.of.host.web, list))
	result.OK = typed.Some(trailers)
	return got, err
}

// inflow is where the bytes of a received body come from. The body, its stream and its trailers use
// it; when none of them is left, the other end is told that nothing is read any more.
type inflow struct {
	host     *Host
	pipe     *http.Pipe // nil if there is no body
	users    int
	response bool // it is that of a response
}

// trailerSize is the code of trailers that are too large.
func (f *inflow) trailerSize() bindings.HTTPErrorCodeCase {
	if f.response {
		return bindings.HTTPErrorCodeHTTPResponseTrailerSectionSize
	}
	return bindings.HTTPErrorCodeHTTPRequestTrailerSectionSize
}

func (f *inflow) leave() {
	if f.users--; f.users == 0 && f.pipe != nil {
		f.pipe.Close(nil)
	}
}

func wouldBlock(err error) bool { return err == wasi.ErrWouldBlock } //nolint:errorlint // a Pipe returns it as it is

// Ready implements wasi.Signal.
func (f *inflow) Ready() bool {
	if f.pipe == nil {
		return true
	}
	_, err := f.pipe.Bytes()
	return !wouldBlock(err)
}

// Notify implements wasi.Signal.
func (f *inflow) Notify(tell func()) {
	if f.pipe != nil {
		f.pipe.OnBytes(tell)
		return
	}
	if tell != nil {
		tell()
	}
}

// read reads some bytes. It returns 0 at the end.
func (f *inflow) read(ctx context.Context, b []byte, nonblock bool) (n int, err error) {
	if f.pipe == nil {
		return 0, nil
	}
	for n < len(b) {
		var some []byte
		some, err = f.pipe.Bytes()
		switch {
		case err == nil:
			got := copy(b[n:], some)
			f.pipe.Discard(got)
			n += got
			continue
		case n > 0: // the next read gets the error
			return n, nil
		case errors.Is(err, io.EOF):
			return 0, nil
		case nonblock || !wouldBlock(err):
			return 0, err
		}
		if err := f.host.guest.WaitFor(ctx, f); err != nil {
			return 0, err
		}
	}
	return n, nil
}
