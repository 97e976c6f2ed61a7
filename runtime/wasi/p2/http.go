package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// web has the functions of wasi:http/types.
type web struct{ host *Host }

// NewOutgoingRequest implements bindings.HTTPHost. It owns the headers.
func (w web) NewOutgoingRequest(_ context.Context, headers bindings.Headers) (bindings.OutgoingRequest, error) {
	m, err := w.message(headers)
	if err != nil {
		return nil, err
	}
	return &outgoingRequest{message: m, texts: http.NewTexts(&w.host.web)}, nil
}

// NewRequestOptions implements bindings.HTTPHost.
func (w web) NewRequestOptions(context.Context) (bindings.RequestOptions, error) {
	if err := w.host.web.Take(); err != nil {
		return nil, err
	}
	return &requestOptions{host: w.host}, nil
}

// message is what requests and responses have.
type message struct {
	host    *Host
	headers *http.Fields
	out     *outflow // where the body's bytes go; nil until the guest takes it
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

// body makes the body of a message, which has one.
func (m *message) body(of *outflow) (bindings.OutgoingBody, error) {
	if m.out != nil {
		return nil, typed.ErrFailed
	}
	if err := m.host.web.Take(); err != nil {
		return nil, err
	}
	m.out = of
	return &outgoingBody{of: of}, nil
}

const (
	noLength  = -1 // there is no header content-length
	badLength = -2 // there is one that no body can have
)

// length is the number of bytes that the headers say.
func (m *message) length() int64 {
	length, err := http.ContentLength(m.headers.Entries())
	if err != nil {
		return badLength
	}
	return length
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

// Drop implements typed.Resource. Without its request, what is written to a body is for no one.
func (r *outgoingRequest) Drop() {
	if r.out != nil && r.out.early {
		r.out.stop(http.ErrUnsent)
	}
	r.texts.Drop()
	r.message.Drop()
}

// Body implements bindings.OutgoingRequest. A request has one body.
func (r *outgoingRequest) Body(context.Context) (bindings.OutgoingBody, error) {
	return r.body(&outflow{host: r.host, early: true, declared: r.length()})
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
