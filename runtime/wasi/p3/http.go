package p3

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// web has the functions of wasi:http. There is no HTTP yet by WASI 0.3: making a message, for which
// WIT has no error, ends the guest, so that no guest has one to send.
type web struct{}

var errNoHTTP = errors.New("the guest makes an HTTP message by WASI 0.3, which this host does not support yet")

type (
	httpFuture    = typed.Future[result[bindings.HTTPErrorCode]]
	trailerResult = typed.Result[typed.Option[bindings.Trailers], bindings.HTTPErrorCode]
	httpBody      = typed.Tuple2[byteStream, typed.Future[trailerResult]]
)

// NewFields implements bindings.HTTPHost.
func (web) NewFields(context.Context) (bindings.Fields, error) { return nil, errNoHTTP }

// FieldsFromList implements bindings.HTTPHost.
func (web) FieldsFromList(context.Context, []typed.Tuple2[bindings.FieldName, bindings.FieldValue]) (bindings.Fields, error) {
	return nil, errNoHTTP
}

// RequestNew implements bindings.HTTPHost.
func (web) RequestNew(
	context.Context, bindings.Headers, typed.Option[byteStream], typed.Future[trailerResult], typed.Option[bindings.RequestOptions],
) (r typed.Tuple2[bindings.Request, httpFuture], err error) {
	return r, errNoHTTP
}

// RequestConsumeBody implements bindings.HTTPHost.
func (web) RequestConsumeBody(context.Context, bindings.Request, httpFuture) (b httpBody, err error) {
	return b, errNoHTTP
}

// NewRequestOptions implements bindings.HTTPHost.
func (web) NewRequestOptions(context.Context) (bindings.RequestOptions, error) { return nil, errNoHTTP }

// ResponseNew implements bindings.HTTPHost.
func (web) ResponseNew(
	context.Context, bindings.Headers, typed.Option[byteStream], typed.Future[trailerResult],
) (r typed.Tuple2[bindings.Response, httpFuture], err error) {
	return r, errNoHTTP
}

// ResponseConsumeBody implements bindings.HTTPHost.
func (web) ResponseConsumeBody(context.Context, bindings.Response, httpFuture) (b httpBody, err error) {
	return b, errNoHTTP
}

var errHTTPDenied error = bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPRequestDenied}

// Handle implements bindings.HandlerHost.
func (web) Handle(context.Context, typed.Async[bindings.Response], bindings.Request) (bindings.Response, error) {
	return nil, errHTTPDenied
}

// Send implements bindings.ClientHost.
func (web) Send(context.Context, typed.Async[bindings.Response], bindings.Request) (bindings.Response, error) {
	return nil, errHTTPDenied
}
