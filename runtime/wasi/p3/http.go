package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// web has the functions of wasi:http.
type web struct{ host *Host }

var errHTTPDenied error = bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPRequestDenied}

// Handle implements bindings.HandlerHost. It owns the request. There is no other handler.
func (web) Handle(_ context.Context, _ typed.Async[bindings.Response], r bindings.Request) (bindings.Response, error) {
	r.Drop()
	return nil, errHTTPDenied
}

// RequestNew implements bindings.HTTPHost. It owns all of its parameters.
func (w web) RequestNew(
	_ context.Context, headers bindings.Headers, contents typed.Option[byteStream], trailers trailerFuture, o typed.Option[bindings.RequestOptions],
) (made typed.Tuple2[bindings.Request, httpFuture], err error) {
	m, err := w.host.message(headers, contents, trailers)
	if err != nil {
		return made, err
	}
	r := &request{message: m, texts: http.NewTexts(&w.host.web)}
	if o.Is {
		r.options = o.Value.(*requestOptions)
	}
	made.A, made.B = r, r.future()
	return made, nil
}

// RequestConsumeBody implements bindings.HTTPHost. It owns the request.
func (web) RequestConsumeBody(_ context.Context, r bindings.Request, handled httpFuture) (httpBody, error) {
	of := r.(*request)
	of.release()
	return of.consume(handled), nil
}

// request is the resource request of wasi:http.
type request struct {
	message
	method    bindings.Method
	scheme    typed.Option[bindings.Scheme]
	authority typed.Option[string]
	path      typed.Option[string]
	texts     http.Texts
	options   *requestOptions // or nil
}

// Drop implements typed.Resource.
func (r *request) Drop() {
	r.release()
	r.message.Drop()
}

// release ends what a request has beside its message.
func (r *request) release() {
	r.texts.Drop()
	if r.options != nil {
		r.options.Drop()
	}
}

// GetMethod implements bindings.Request.
func (r *request) GetMethod(context.Context) (bindings.Method, error) { return r.method, nil }

// methods are the names of the cases of a method. The case other has none.
var methods = http.Methods

// methodOf is the method of a name.
func methodOf(name string) bindings.Method {
	for i, n := range methods {
		if n == name {
			return bindings.Method{Case: bindings.MethodCase(i)}
		}
	}
	return bindings.Method{Case: bindings.MethodOther, Other: name}
}

// SetMethod implements bindings.Request. A name that has a case becomes that.
func (r *request) SetMethod(_ context.Context, m bindings.Method) error {
	if m.Case == bindings.MethodOther {
		if !http.IsMethod(m.Other) {
			return typed.ErrFailed
		}
		m = methodOf(m.Other)
	}
	if r.texts.Replace(r.method.Other, m.Other) != nil {
		return typed.ErrFailed
	}
	r.method = m
	return nil
}

// GetScheme implements bindings.Request.
func (r *request) GetScheme(context.Context) (typed.Option[bindings.Scheme], error) {
	return r.scheme, nil
}

// schemeOf is the scheme of a name.
func schemeOf(name string) bindings.Scheme {
	switch name {
	case "http":
		return bindings.Scheme{Case: bindings.SchemeHTTP}
	case "https":
		return bindings.Scheme{Case: bindings.SchemeHTTPS}
	}
	return bindings.Scheme{Case: bindings.SchemeOther, Other: name}
}

// SetScheme implements bindings.Request. A name that has a case becomes that.
func (r *request) SetScheme(_ context.Context, s typed.Option[bindings.Scheme]) error {
	if s.Is && s.Value.Case == bindings.SchemeOther {
		if !http.IsScheme(s.Value.Other) {
			return typed.ErrFailed
		}
		s.Value = schemeOf(s.Value.Other)
	}
	if r.texts.Replace(r.scheme.Value.Other, s.Value.Other) != nil {
		return typed.ErrFailed
	}
	r.scheme = s
	return nil
}

// GetAuthority implements bindings.Request.
func (r *request) GetAuthority(context.Context) (typed.Option[string], error) {
	return r.authority, nil
}

// SetAuthority implements bindings.Request.
func (r *request) SetAuthority(_ context.Context, a typed.Option[string]) error {
	if a.Is && !http.IsAuthority(a.Value) || r.texts.Replace(r.authority.Value, a.Value) != nil {
		return typed.ErrFailed
	}
	r.authority = a
	return nil
}

// GetPathWithQuery implements bindings.Request.
func (r *request) GetPathWithQuery(context.Context) (typed.Option[string], error) {
	return r.path, nil
}

// SetPathWithQuery implements bindings.Request. Only of OPTIONS the path may be empty (RFC 9110,
// 7.1).
func (r *request) SetPathWithQuery(_ context.Context, p typed.Option[string]) error {
	if p.Is && p.Value == "" && r.method.Case != bindings.MethodOptions {
		p.Value = "/"
	}
	if p.Value != "" && !http.IsPath(p.Value) || r.texts.Replace(r.path.Value, p.Value) != nil {
		return typed.ErrFailed
	}
	r.path = p
	return nil
}

// GetOptions implements bindings.Request.
func (r *request) GetOptions(context.Context) (o typed.Option[bindings.RequestOptions], err error) {
	if r.options == nil {
		return o, nil
	}
	seen, err := r.options.copied(true)
	if err != nil {
		return o, err
	}
	return typed.Some[bindings.RequestOptions](seen), nil
}

// ResponseNew implements bindings.HTTPHost. It owns all of its parameters.
func (w web) ResponseNew(
	_ context.Context, headers bindings.Headers, contents typed.Option[byteStream], trailers trailerFuture,
) (made typed.Tuple2[bindings.Response, httpFuture], err error) {
	m, err := w.host.message(headers, contents, trailers)
	if err != nil {
		return made, err
	}
	r := &response{message: m, status: 200}
	made.A, made.B = r, r.future()
	return made, nil
}

// ResponseConsumeBody implements bindings.HTTPHost. It owns the response.
func (web) ResponseConsumeBody(_ context.Context, r bindings.Response, handled httpFuture) (httpBody, error) {
	return r.(*response).consume(handled), nil
}

// response is the resource response of wasi:http.
type response struct {
	message
	status bindings.StatusCode
}

// GetStatusCode implements bindings.Response.
func (r *response) GetStatusCode(context.Context) (bindings.StatusCode, error) { return r.status, nil }

// SetStatusCode implements bindings.Response. Other codes than these have no class (RFC 9110, 15).
func (r *response) SetStatusCode(_ context.Context, code bindings.StatusCode) error {
	if code < 100 || code > 599 {
		return typed.ErrFailed
	}
	r.status = code
	return nil
}
