package p3

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// errOver is the error of what comes after the end of an exchange.
var errOver error = bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeConnectionTerminated}

// httpCode is the code of an error of a message.
func httpCode(err error) (code bindings.HTTPErrorCode) {
	var (
		size *http.SizeError
		sent *client.Error
	)
	switch {
	case errors.As(err, &code):
	case errors.As(err, &sent):
		return sentCode(sent)
	case errors.As(err, &size):
		code.Case, code.HTTPResponseBodySize = bindings.HTTPErrorCodeHTTPResponseBodySize, typed.Some(size.Written)
	case errors.Is(err, http.ErrStatus), errors.Is(err, http.ErrLength):
		code.Case = bindings.HTTPErrorCodeHTTPProtocolError
	default:
		code.Case = bindings.HTTPErrorCodeInternalError
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

// told is an error as a server hears it: that of a guest without texts.
func told(err error) error {
	code, ok := err.(bindings.HTTPErrorCode) //nolint:errorlint // what wraps one is the host's
	if !ok {
		return err
	}
	return http.CodeError(code.Error())
}

// lostError is the error of a body whose other end, at the server, has gone.
type lostError struct {
	error
	code bindings.HTTPErrorCode
}

// Unwrap is for package errors.
func (e *lostError) Unwrap() []error { return []error{e.error, e.code} }

// lost is the error of a body as a pipe has it, if there is one. late is what the guest hears of a
// client that has stalled.
func lost(err error, late bindings.HTTPErrorCodeCase) error {
	of := bindings.HTTPErrorCodeConnectionTerminated
	var sent *client.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &sent):
		return &lostError{err, sentCode(sent)}
	case errors.Is(err, http.ErrStalled):
		of = late
	case errors.Is(err, http.ErrBodySize):
		of = bindings.HTTPErrorCodeHTTPRequestBodySize
	case errors.Is(err, http.ErrNoMemory):
		of = bindings.HTTPErrorCodeInternalError
	}
	return &lostError{err, bindings.HTTPErrorCode{Case: of}}
}
