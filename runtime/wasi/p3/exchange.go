package p3

import (
	"errors"
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// exchange is a request that the guest answers: its body, and the answer. After its end the pipes
// are left alone, as the server may free them.
type exchange struct {
	host *Host
	of   *http.Exchange

	// Of the request's body:
	flow *outflow[byte] // the guest's stream, or nil
	over bool           // the pipe is not read any more
	read bool           // all of it was read, and there may be trailers
	body promise        // kept when the stream has ended

	answer
	ended bool
}

// Request makes the request of an exchange, which the guest owns: the argument of its function
// handle. It is called in the turn of the guest's instance. The exchange has an end when its Answer
// has: after Respond or Fail, or if the instance gets a fault, when the caller has it fail. From
// then on, its pipes are not used. The error says that the guest holds too much.
func (h *Host) Request(x *instance.Instance, e *http.Exchange) (bindings.Request, error) {
	h.x = x
	if err := h.web.Take(); err != nil {
		return nil, err
	}
	headers, err := http.Received(&h.web, e.Headers)
	if err != nil {
		h.web.Give()
		return nil, err
	}
	r := &request{
		message: message{host: h, headers: headers, from: &exchange{host: h, of: e}},
		method:  methodOf(e.Method),
		scheme:  typed.Some(schemeOf(e.Scheme)),
		texts:   http.NewTexts(&h.web),
	}
	if e.Authority != "" {
		r.authority = typed.Some(e.Authority)
	}
	if e.PathWithQuery != "" {
		r.path = typed.Some(e.PathWithQuery)
	}
	for _, text := range [...]string{r.method.Other, r.scheme.Value.Other, e.Authority, e.PathWithQuery} {
		if err := r.texts.Replace("", text); err != nil {
			r.release()
			r.message.release()
			return nil, err
		}
	}
	if h.exchanges == nil {
		h.exchanges = map[*http.Exchange]*exchange{}
	}
	h.exchanges[e] = r.from
	return r, nil
}

// Fail ends an exchange without a response, or its response: of a guest's code, only the name is
// told. It is called in the turn.
func (h *Host) Fail(e *http.Exchange, err error) {
	if x := h.exchanges[e]; x != nil {
		x.end(err)
		return
	}
	e.Fail(told(err))
}

// end ends the exchange: with the whole answer, or with an error. Only the first call counts.
func (x *exchange) end(err error) {
	if x.ended {
		return
	}
	x.ended = true
	delete(x.host.exchanges, x.of)
	x.cut(errOver)
	x.detach()
	trailers := x.stop()
	if err != nil {
		x.of.Fail(told(err))
	} else {
		x.of.Answer.End(trailers, nil)
		x.of.Publish()
	}
	if x.sent != nil {
		x.sent.end(err)
	}
}

// detach has the pipes tell nothing any more.
func (x *exchange) detach() {
	if x.of.Body != nil {
		x.of.Body.OnBytes(nil)
	}
	x.of.Answer.OnSpace(nil)
	x.of.Answer.OnGone(nil)
}

// cut ends the request's body for the guest, if it has no end: with an error, or because the guest
// wants no more of it.
func (x *exchange) cut(why error) {
	switch {
	case x.over:
	case x.flow != nil:
		x.flow.end(why)
	default:
		x.leave()
		x.body.end(why)
	}
}

// consume is the request's body for the guest. What the guest says of how it handled that concerns
// no one.
func (x *exchange) consume(handled httpFuture) (b httpBody) {
	instance.ReadFuture(x.host.x, handled.Handle, sentCodec).Read(func(sentResult) {})
	switch {
	case x.over: // the exchange has its end
		b.A = failedStream(x.host, nil, &promise{}, bindings.ElementU8)
	case x.of.Body == nil:
		x.over = true
		b.A = failedStream(x.host, nil, &x.body, bindings.ElementU8)
	default:
		x.flow = &outflow[byte]{host: x.host, from: requestBody{x}, probe: probeBytes, promise: &x.body}
		b.A = x.flow.stream(bindings.ElementU8)
	}
	b.B.Make = x.trailersOf
	return b
}

// trailersOf makes the future of the request's trailers, which has them when the stream has ended.
func (x *exchange) trailersOf(t *types.Type) canon.Handle {
	w, handle := instance.NewFuture(x.host.x, t, trailerCodec)
	x.body.write = func(err error) {
		v := x.received(err)
		if !v.OK.Is {
			w.Write(v)
			return
		}
		w.WriteOr(v, v.OK.Value.Drop)
	}
	if x.body.ended {
		x.body.write(x.body.err)
	}
	return handle
}

// received are the request's trailers, or why there are none.
func (x *exchange) received(err error) trailerResult {
	if err != nil {
		return typed.Fail[typed.Option[bindings.Trailers]](httpCode(err))
	}
	var list []http.Field
	if x.read {
		list = x.of.Body.Trailers()
	}
	if len(list) == 0 {
		return trailerResult{}
	}
	of, err := http.Received(&x.host.web, list)
	if err != nil {
		return typed.Fail[typed.Option[bindings.Trailers]](bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPRequestTrailerSectionSize})
	}
	return typed.OK[typed.Option[bindings.Trailers], bindings.HTTPErrorCode](typed.Some[bindings.Trailers](&fields{of}))
}

// requestBody is a source of the bytes of a request.
type requestBody struct{ *exchange }

func (b requestBody) next(n int) ([]byte, error) {
	bytes, err := b.of.Body.Bytes()
	switch {
	case err == nil:
		return bytes[:min(n, len(bytes))], nil
	case errors.Is(err, io.EOF):
		b.read = true
		return nil, err
	case isWait(err):
		return nil, err
	}
	return nil, lost(err, bindings.HTTPErrorCodeConnectionReadTimeout)
}

func (b requestBody) took(n int) { b.of.Body.Discard(n) }

func (b requestBody) wait(ready func()) (stop func(), err error) {
	x, body := b.host.x, b.of.Body
	body.OnBytes(func() { x.Post(ready) })
	return func() { body.OnBytes(nil) }, nil
}

func (b requestBody) close() { b.leave() }

// leave says that the request's body is not read any more.
func (x *exchange) leave() {
	x.over = true
	if x.of.Body != nil && !x.read {
		x.of.Body.Close(nil)
	}
}
