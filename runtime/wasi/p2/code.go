package p2

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// codeOf is the code of an error of a body. stalled is that of a client that has stalled.
func codeOf(err error, stalled bindings.HTTPErrorCodeCase) (code bindings.HTTPErrorCode) {
	var (
		size *http.SizeError
		sent *client.Error
	)
	switch {
	case errors.As(err, &sent):
		return sentCode(sent)
	case errors.As(err, &size):
		code.Case, code.HTTPResponseBodySize = bindings.HTTPErrorCodeHTTPResponseBodySize, typed.Some(size.Written)
	case errors.Is(err, http.ErrBodySize):
		code.Case = bindings.HTTPErrorCodeHTTPRequestBodySize
	case errors.Is(err, http.ErrStalled):
		code.Case = stalled
	case errors.Is(err, http.ErrUnsent):
		code.Case = bindings.HTTPErrorCodeHTTPRequestDenied
	case errors.Is(err, http.ErrIncomplete), errors.Is(err, http.ErrNoResponse):
		code.Case = bindings.HTTPErrorCodeHTTPResponseIncomplete
	case errors.Is(err, http.ErrLength), errors.Is(err, http.ErrStatus):
		code.Case = bindings.HTTPErrorCodeHTTPProtocolError
	case errors.Is(err, http.ErrNoMemory), errors.Is(err, errEarly):
		code.Case = bindings.HTTPErrorCodeInternalError
	default:
		code.Case = bindings.HTTPErrorCodeConnectionTerminated
	}
	return code
}

// sentCode is the code of an error of a request that the guest has sent. The codes have the same
// order.
func sentCode(err *client.Error) (code bindings.HTTPErrorCode) {
	code.Case = bindings.HTTPErrorCodeCase(err.Code)
	var size *http.SizeError
	switch {
	case err.Code == client.DNSError && err.Rcode != "":
		code.DNSError.Rcode = typed.Some(err.Rcode)
	case err.Code == client.TLSAlertReceived:
		code.TLSAlertReceived.AlertID = typed.Some(err.Alert)
	case err.Code == client.RequestBodySize && errors.As(err, &size):
		code.HTTPRequestBodySize = typed.Some(size.Written)
	}
	return code
}

// failedBody is an error of a body as a function of a stream returns it.
func (h *Host) failedBody(err error, stalled bindings.HTTPErrorCodeCase) error {
	switch {
	case errors.Is(err, wasi.ErrKilled):
		return wasi.ErrKilled
	case errors.Is(err, errEnded):
		return errClosed
	}
	if err := h.take(failures); err != nil {
		return err
	}
	return bindings.StreamError{
		Case:                bindings.StreamErrorLastOperationFailed,
		LastOperationFailed: &failure{host: h, code: typed.Some(codeOf(err, stalled))},
	}
}

// HTTPErrorCode implements bindings.HTTPHost.
func (web) HTTPErrorCode(_ context.Context, err bindings.Error) (none typed.Option[bindings.HTTPErrorCode], _ error) {
	if f, ok := err.(*failure); ok {
		return f.code, nil
	}
	return none, nil
}
