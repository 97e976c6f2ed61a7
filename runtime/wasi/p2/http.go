package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// outgoing has the functions of wasi:http/outgoing-handler. A guest has no network, so no request
// is sent.
type outgoing struct{}

// Handle implements bindings.OutgoingHandlerHost. It owns the request and the options.
func (outgoing) Handle(_ context.Context, r bindings.OutgoingRequest, o typed.Option[bindings.RequestOptions]) (bindings.FutureIncomingResponse, error) {
	r.Drop()
	if o.Is {
		o.Value.Drop()
	}
	return nil, bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPRequestDenied}
}

// web has the functions of wasi:http/types. The guest gets no request and no response, so what
// belongs to these is never made.
type web struct{ host *Host }

// NewOutgoingRequest implements bindings.HTTPHost. It owns the headers.
func (w web) NewOutgoingRequest(_ context.Context, headers bindings.Headers) (bindings.OutgoingRequest, error) {
	m, err := w.message(headers)
	if err != nil {
		return nil, err
	}
	return &outgoingRequest{message: m, texts: http.NewTexts(&w.host.web)}, nil
}

// NewOutgoingResponse implements bindings.HTTPHost. It owns the headers.
func (w web) NewOutgoingResponse(_ context.Context, headers bindings.Headers) (bindings.OutgoingResponse, error) {
	m, err := w.message(headers)
	if err != nil {
		return nil, err
	}
	return &outgoingResponse{message: m, status: 200}, nil
}

// NewRequestOptions implements bindings.HTTPHost.
func (w web) NewRequestOptions(context.Context) (bindings.RequestOptions, error) {
	if err := w.host.web.Take(); err != nil {
		return nil, err
	}
	return &requestOptions{host: w.host}, nil
}

// ResponseOutparamSet implements bindings.HTTPHost. No guest has a response-outparam.
func (web) ResponseOutparamSet(context.Context, bindings.ResponseOutparam, typed.Result[bindings.OutgoingResponse, bindings.HTTPErrorCode]) error {
	return nil
}

// IncomingBodyFinish implements bindings.HTTPHost. No guest has an incoming-body.
func (web) IncomingBodyFinish(context.Context, bindings.IncomingBody) (bindings.FutureTrailers, error) {
	return nil, wasi.ErrNotSupported
}

// OutgoingBodyFinish implements bindings.HTTPHost. It owns the body and the trailers.
func (web) OutgoingBodyFinish(_ context.Context, b bindings.OutgoingBody, trailers typed.Option[bindings.Trailers]) error {
	b.Drop()
	if trailers.Is {
		trailers.Value.Drop()
	}
	return nil
}

// HTTPErrorCode implements bindings.HTTPHost. No stream is that of a message.
func (web) HTTPErrorCode(context.Context, bindings.Error) (none typed.Option[bindings.HTTPErrorCode], err error) {
	return none, nil
}

// message is what requests and responses have.
type message struct {
	host    *Host
	headers *http.Fields
	taken   bool // the guest has taken the body
}

func (w web) message(headers bindings.Headers) (message, error) {
	if err := w.host.web.Take(); err != nil {
		return message{}, err
	}
	m := message{host: w.host, headers: headers.(*fields).of}
	m.headers.Freeze()
	return m, nil
}

// Drop implements typed.Resource.
func (m *message) Drop() {
	m.headers.Drop()
	m.host.web.Give()
}

// Headers implements both messages.
func (m *message) Headers(context.Context) (bindings.Headers, error) {
	return resource(m.headers.View())
}

// Body implements both messages. A message has one body.
func (m *message) Body(context.Context) (bindings.OutgoingBody, error) {
	if m.taken {
		return nil, typed.ErrFailed
	}
	if err := m.host.web.Take(); err != nil {
		return nil, err
	}
	m.taken = true
	return &outgoingBody{host: m.host}, nil
}

// outgoingBody is the resource outgoing-body of wasi:http. What is written to it goes nowhere.
type outgoingBody struct {
	host  *Host
	taken bool
}

// Drop implements typed.Resource.
func (b *outgoingBody) Drop() { b.host.web.Give() }

// Write implements bindings.OutgoingBody.
func (b *outgoingBody) Write(context.Context) (bindings.OutputStream, error) {
	if b.taken {
		return nil, typed.ErrFailed
	}
	if err := b.host.take(streams); err != nil {
		return nil, err
	}
	b.taken = true
	return &outputStream{host: b.host}, nil
}

// outgoingResponse is the resource outgoing-response of wasi:http.
type outgoingResponse struct {
	message
	status bindings.StatusCode
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

// outgoingRequest is the resource outgoing-request of wasi:http.
type outgoingRequest struct {
	message
	method    bindings.Method
	scheme    typed.Option[bindings.Scheme]
	authority typed.Option[string]
	path      typed.Option[string]
	texts     http.Texts
}

// Drop implements typed.Resource.
func (r *outgoingRequest) Drop() {
	r.texts.Drop()
	r.message.Drop()
}

// Method implements bindings.OutgoingRequest.
func (r *outgoingRequest) Method(context.Context) (bindings.Method, error) { return r.method, nil }

// SetMethod implements bindings.OutgoingRequest.
func (r *outgoingRequest) SetMethod(_ context.Context, m bindings.Method) error {
	if m.Case == bindings.MethodOther && !http.IsMethod(m.Other) {
		return typed.ErrFailed
	}
	if err := r.texts.Replace(r.method.Other, m.Other); err != nil {
		return err
	}
	r.method = m
	return nil
}

// Scheme implements bindings.OutgoingRequest.
func (r *outgoingRequest) Scheme(context.Context) (typed.Option[bindings.Scheme], error) {
	return r.scheme, nil
}

// SetScheme implements bindings.OutgoingRequest.
func (r *outgoingRequest) SetScheme(_ context.Context, s typed.Option[bindings.Scheme]) error {
	if s.Is && s.Value.Case == bindings.SchemeOther && !http.IsPart(s.Value.Other) {
		return typed.ErrFailed
	}
	if err := r.texts.Replace(r.scheme.Value.Other, s.Value.Other); err != nil {
		return err
	}
	r.scheme = s
	return nil
}

// Authority implements bindings.OutgoingRequest.
func (r *outgoingRequest) Authority(context.Context) (typed.Option[string], error) {
	return r.authority, nil
}

// SetAuthority implements bindings.OutgoingRequest.
func (r *outgoingRequest) SetAuthority(_ context.Context, a typed.Option[string]) error {
	if a.Is && !http.IsPart(a.Value) {
		return typed.ErrFailed
	}
	if err := r.texts.Replace(r.authority.Value, a.Value); err != nil {
		return err
	}
	r.authority = a
	return nil
}

// PathWithQuery implements bindings.OutgoingRequest.
func (r *outgoingRequest) PathWithQuery(context.Context) (typed.Option[string], error) {
	return r.path, nil
}

// SetPathWithQuery implements bindings.OutgoingRequest.
func (r *outgoingRequest) SetPathWithQuery(_ context.Context, p typed.Option[string]) error {
	if p.Is && p.Value != "" && !http.IsPart(p.Value) {
		return typed.ErrFailed
	}
	if err := r.texts.Replace(r.path.Value, p.Value); err != nil {
		return err
	}
	r.path = p
	return nil
}

// requestOptions is the resource request-options of wasi:http.
type requestOptions struct {
	host                             *Host
	connect, firstByte, betweenBytes typed.Option[bindings.Duration]
}

// Drop implements typed.Resource.
func (o *requestOptions) Drop() { o.host.web.Give() }

// ConnectTimeout implements bindings.RequestOptions.
func (o *requestOptions) ConnectTimeout(context.Context) (typed.Option[bindings.Duration], error) {
	return o.connect, nil
}

// SetConnectTimeout implements bindings.RequestOptions.
func (o *requestOptions) SetConnectTimeout(_ context.Context, d typed.Option[bindings.Duration]) error {
	o.connect = d
	return nil
}

// FirstByteTimeout implements bindings.RequestOptions.
func (o *requestOptions) FirstByteTimeout(context.Context) (typed.Option[bindings.Duration], error) {
	return o.firstByte, nil
}

// SetFirstByteTimeout implements bindings.RequestOptions.
func (o *requestOptions) SetFirstByteTimeout(_ context.Context, d typed.Option[bindings.Duration]) error {
	o.firstByte = d
	return nil
}

// BetweenBytesTimeout implements bindings.RequestOptions.
func (o *requestOptions) BetweenBytesTimeout(context.Context) (typed.Option[bindings.Duration], error) {
	return o.betweenBytes, nil
}

// SetBetweenBytesTimeout implements bindings.RequestOptions.
func (o *requestOptions) SetBetweenBytesTimeout(_ context.Context, d typed.Option[bindings.Duration]) error {
	o.betweenBytes = d
	return nil
}
