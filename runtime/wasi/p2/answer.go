package p2

import (
	"context"
	"errors"
	nethttp "net/http"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// responseOutparam is the resource response-outparam of wasi:http.
type responseOutparam struct {
	host     *Host
	exchange *http.Exchange
	done     bool
}

// Drop implements typed.Resource.
func (p *responseOutparam) Drop() {
	if !p.done {
		p.exchange.Fail(http.ErrNoResponse)
		p.end()
	}
}

func (p *responseOutparam) end() {
	p.done = true
	p.host.web.Give()
}

// SendInformational implements bindings.ResponseOutparam. It owns the headers.
func (p *responseOutparam) SendInformational(_ context.Context, status uint16, headers bindings.Headers) error {
	of := headers.(*fields).of
	list := of.Entries()
	of.Freeze()
	headers.Drop()
	if status < 100 || status > 199 {
		return bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPProtocolError}
	}
	if p.exchange.Inform(int(status), list) != nil {
		return bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeInternalError}
	}
	return nil
}

// ResponseOutparamSet implements bindings.HTTPHost. It owns the parameter and the response.
func (web) ResponseOutparamSet(_ context.Context, param bindings.ResponseOutparam, response typed.Result[bindings.OutgoingResponse, bindings.HTTPErrorCode]) error {
	p := param.(*responseOutparam)
	if p.done {
		return errSet
	}
	p.end()
	if response.Failed {
		p.exchange.Fail(http.CodeError(response.Error.Error())) // its texts are the guest's
		return nil
	}
	r := response.OK.(*outgoingResponse)
	if err := r.answer(p.exchange); err != nil && !errors.Is(err, http.ErrAnswered) {
		p.exchange.Fail(err)
	}
	r.Drop()
	return nil
}

var errSet = errors.New("the guest sets a response for which it has no response-outparam any more")

// outgoingResponse is the resource outgoing-response of wasi:http.
type outgoingResponse struct {
	message
	status bindings.StatusCode
}

// NewOutgoingResponse implements bindings.HTTPHost. It owns the headers.
func (w web) NewOutgoingResponse(_ context.Context, headers bindings.Headers) (bindings.OutgoingResponse, error) {
	m, err := w.message(headers)
	if err != nil {
		return nil, err
	}
	return &outgoingResponse{message: m, status: 200}, nil
}

// StatusCode implements bindings.OutgoingResponse.
func (r *outgoingResponse) StatusCode(context.Context) (bindings.StatusCode, error) {
	return r.status, nil
}

// SetStatusCode implements bindings.OutgoingResponse.
func (r *outgoingResponse) SetStatusCode(_ context.Context, code bindings.StatusCode) error {
	if code < 100 || code > 999 {
		return typed.ErrFailed
	}
	r.status = code
	return nil
}

// Body implements bindings.OutgoingResponse. A response has one body.
func (r *outgoingResponse) Body(context.Context) (bindings.OutgoingBody, error) {
	return r.body(&outflow{host: r.host, response: r, early: true, declared: r.length(), flushed: time.Now()})
}

// Drop implements typed.Resource. Without its response, what is written to a body is for no one.
func (r *outgoingResponse) Drop() {
	if r.out != nil && r.out.early {
		r.out.stop(http.ErrNoResponse)
	}
	r.message.Drop()
}

// bodiless reports whether a response may have the length of a body that it does not have: it
// answers HEAD, or says that something has not changed (RFC 9110, 8.6).
func (r *outgoingResponse) bodiless(e *http.Exchange) bool {
	return r.status == 304 || e != nil && e.Method == nethttp.MethodHead
}

// answer makes it the response of an exchange. What its body has until then, follows it.
func (r *outgoingResponse) answer(e *http.Exchange) error {
	length := r.length()
	if length == badLength {
		return http.ErrLength
	}
	if r.out != nil {
		return r.out.answer(e)
	}
	if length > 0 && !r.bodiless(e) {
		return &http.SizeError{Declared: uint64(length)}
	}
	if err := e.Respond(r.head()); err != nil {
		return err
	}
	e.Answer.End(nil, nil)
	return nil
}

// head is what the server gets. The headers cannot be changed any more.
func (r *outgoingResponse) head() http.Head {
	return http.Head{Status: int(r.status), Headers: r.headers.Entries(), Bodiless: r.out == nil}
}

// outgoingBody is the resource outgoing-body of wasi:http.
type outgoingBody struct {
	of    *outflow
	taken bool
}

// Drop implements typed.Resource. A body that was not finished is not whole.
func (b *outgoingBody) Drop() {
	b.of.stop(http.ErrIncomplete)
	b.of.host.web.Give()
}

// Write implements bindings.OutgoingBody. A body has one stream.
func (b *outgoingBody) Write(context.Context) (bindings.OutputStream, error) {
	if b.taken {
		return nil, typed.ErrFailed
	}
	if err := b.of.host.take(streams); err != nil {
		return nil, err
	}
	b.taken = true
	return &outputStream{host: b.of.host, body: b.of}, nil
}

// OutgoingBodyFinish implements bindings.HTTPHost. It owns the body and the trailers, and ends the
// body's stream.
func (web) OutgoingBodyFinish(_ context.Context, b bindings.OutgoingBody, trailers typed.Option[bindings.Trailers]) error {
	var list []field
	if trailers.Is {
		of := trailers.Value.(*fields).of
		list = of.Entries()
		of.Freeze()
		trailers.Value.Drop()
	}
	body := b.(*outgoingBody)
	err := body.of.finish(list)
	body.Drop()
	if err != nil {
		return body.of.code(err)
	}
	return nil
}
