package p2

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// codeOf is the code of an error of a body. stalled is that of a client that has stalled.
func codeOf(err error, stalled bindings.HTTPErrorCodeCase) (code bindings.HTTPErrorCode) {
	var size *http.SizeError
	switch {
	case errors.As(err, &size):
		code.Case, code.HTTPResponseBodySize = bindings.HTTPErrorCodeHTTPResponseBodySize, typed.Some(size.Written)
	case errors.Is(err, http.ErrBodySize):
		code.Case = bindings.HTTPErrorCodeHTTPRequestBodySize
	case errors.Is(err, http.ErrStalled):
		code.Case = stalled
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

// reason is the error of a guest that answers with a code. The code's texts are the guest's, so
// they are left out.
func reason(c bindings.HTTPErrorCode) error {
	e := &http.CodeError{Code: c.Error()}
	value := func(is bool, n uint64) {
		if is {
			e.Value = &n
		}
	}
	switch c.Case {
	case bindings.HTTPErrorCodeDNSError:
		value(c.DNSError.InfoCode.Is, uint64(c.DNSError.InfoCode.Value))
	case bindings.HTTPErrorCodeTLSAlertReceived:
		value(c.TLSAlertReceived.AlertID.Is, uint64(c.TLSAlertReceived.AlertID.Value))
	case bindings.HTTPErrorCodeHTTPRequestBodySize:
		value(c.HTTPRequestBodySize.Is, c.HTTPRequestBodySize.Value)
	case bindings.HTTPErrorCodeHTTPResponseBodySize:
		value(c.HTTPResponseBodySize.Is, c.HTTPResponseBodySize.Value)
	case bindings.HTTPErrorCodeHTTPRequestHeaderSectionSize:
		value(c.HTTPRequestHeaderSectionSize.Is, uint64(c.HTTPRequestHeaderSectionSize.Value))
	case bindings.HTTPErrorCodeHTTPResponseHeaderSectionSize:
		value(c.HTTPResponseHeaderSectionSize.Is, uint64(c.HTTPResponseHeaderSectionSize.Value))
	case bindings.HTTPErrorCodeHTTPRequestTrailerSectionSize:
		value(c.HTTPRequestTrailerSectionSize.Is, uint64(c.HTTPRequestTrailerSectionSize.Value))
	case bindings.HTTPErrorCodeHTTPResponseTrailerSectionSize:
		value(c.HTTPResponseTrailerSectionSize.Is, uint64(c.HTTPResponseTrailerSectionSize.Value))
	}
	return e
}
