package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"syscall"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Code says why a request has failed: a case of the variant error-code of wasi:http, which has the
// same cases in the same order in WASI 0.2 and 0.3.
type Code uint8

// The codes.
const (
	DNSTimeout Code = iota
	DNSError
	DestinationNotFound
	DestinationUnavailable
	DestinationIPProhibited
	DestinationIPUnroutable
	ConnectionRefused
	ConnectionTerminated
	ConnectionTimeout
	ConnectionReadTimeout
	ConnectionWriteTimeout
	ConnectionLimitReached
	TLSProtocolError
	TLSCertificateError
	TLSAlertReceived
	RequestDenied
	RequestLengthRequired
	RequestBodySize
	RequestMethodInvalid
	RequestURIInvalid
	RequestURITooLong
	RequestHeaderSectionSize
	RequestHeaderSize
	RequestTrailerSectionSize
	RequestTrailerSize
	ResponseIncomplete
	ResponseHeaderSectionSize
	ResponseHeaderSize
	ResponseBodySize
	ResponseTrailerSectionSize
	ResponseTrailerSize
	ResponseTransferCoding
	ResponseContentCoding
	ResponseTimeout
	UpgradeFailed
	ProtocolError
	LoopDetected
	ConfigurationError
	InternalError
)

// names are the codes as WIT has them.
var names = [...]string{
	"DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable", "destination-IP-prohibited",
	"destination-IP-unroutable", "connection-refused", "connection-terminated", "connection-timeout",
	"connection-read-timeout", "connection-write-timeout", "connection-limit-reached", "TLS-protocol-error",
	"TLS-certificate-error", "TLS-alert-received", "HTTP-request-denied", "HTTP-request-length-required",
	"HTTP-request-body-size", "HTTP-request-method-invalid", "HTTP-request-URI-invalid", "HTTP-request-URI-too-long",
	"HTTP-request-header-section-size", "HTTP-request-header-size", "HTTP-request-trailer-section-size",
	"HTTP-request-trailer-size", "HTTP-response-incomplete", "HTTP-response-header-section-size",
	"HTTP-response-header-size", "HTTP-response-body-size", "HTTP-response-trailer-section-size",
	"HTTP-response-trailer-size", "HTTP-response-transfer-coding", "HTTP-response-content-coding",
	"HTTP-response-timeout", "HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected", "configuration-error",
	"internal-error",
}

// String is the name of the code in WIT.
func (c Code) String() string { return names[c] }

// Error is the error of a request. Its text has nothing of the request, or of what the server sent.
type Error struct {
	Code  Code
	Rcode string // with DNSError: the answer's code, such as NXDOMAIN, if it is known
	Alert uint8  // with TLSAlertReceived
	Err   error  // what it comes from, or nil; its text may have what the server sent
}

// Error implements error.
func (e *Error) Error() string { return "sending an HTTP request: " + e.Code.String() }

// Unwrap is for package errors.
func (e *Error) Unwrap() error { return e.Err }

// lookedUp is the error of a lookup.
func lookedUp(err error) error {
	e := &Error{Code: DNSError, Err: err}
	var coded interface{ Rcode() string }
	if errors.As(err, &coded) {
		e.Rcode = coded.Rcode()
	}
	switch wasi.ErrorOf(err) {
	case 0:
		return err // the end of the context: Do knows why
	case wasi.ErrAccess:
		e.Code = RequestDenied
	case wasi.ErrWouldBlock, wasi.ErrTimeout:
		e.Code = DNSTimeout
	case wasi.ErrInvalid:
		e.Code = RequestURIInvalid
	case wasi.ErrNoBuffers:
		e.Code = ConnectionLimitReached
	}
	return e
}

// connected is the error of a connection to an address.
func connected(err error) error {
	e := &Error{Code: DestinationUnavailable, Err: err}
	switch wasi.ErrorOf(err) {
	case 0:
		return err
	case wasi.ErrAccess, wasi.ErrNotPermitted:
		e.Code = DestinationIPProhibited
	case wasi.ErrConnectionRefused:
		e.Code = ConnectionRefused
	case wasi.ErrTimeout:
		e.Code = ConnectionTimeout
	case wasi.ErrHostUnreachable, wasi.ErrNetworkUnreachable, wasi.ErrAddressNotAvailable, wasi.ErrInvalid:
		e.Code = DestinationIPUnroutable
	case wasi.ErrTooManyOpen, wasi.ErrNoFiles, wasi.ErrNoBuffers, wasi.ErrNoMemory:
		e.Code = ConnectionLimitReached
	}
	return e
}

// texts are errors of net/http that it has no values for. The tests of hostile servers hold them.
var texts = []struct {
	part string
	code Code
}{
	{"server response headers exceeded", ResponseHeaderSectionSize},
	{"response header list larger than advertised limit", ResponseHeaderSectionSize},
	{"header list too large", ResponseHeaderSectionSize},
	{"suspiciously long trailer", ResponseTrailerSectionSize},
	{"unsupported transfer encoding", ResponseTransferCoding},
	{"too many transfer encodings", ResponseTransferCoding},
	{"server gave HTTP response to HTTPS client", TLSProtocolError},
	{"server closed idle connection", ConnectionTerminated},
	{"client connection lost", ConnectionTerminated},
	{"client connection force closed", ConnectionTerminated},
	{"client conn is closed", ConnectionTerminated},
	{"client conn not usable", ConnectionTerminated},
	{"client conn could not be established", ConnectionTerminated},
	{"Server's graceful shutdown GOAWAY", ConnectionTerminated},
	{"server sent GOAWAY", ConnectionTerminated},
	{"unexpected EOF reading trailer", ResponseIncomplete},
}

// failed is an error of net/http, before the head of a response or in its body.
func failed(ctx context.Context, err error, inBody bool) *Error {
	var e *Error
	if cause := context.Cause(ctx); cause != nil {
		if errors.As(cause, &e) {
			return e
		}
		return &Error{Code: ConnectionTerminated, Err: cause}
	}
	if errors.As(err, &e) {
		return e
	}
	e = &Error{Code: ProtocolError, Err: err}
	for _, t := range texts {
		if strings.Contains(err.Error(), t.part) {
			e.Code = t.code
			return e
		}
	}
	switch {
	case ofTLS(err, e), ofStream(err, e):
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		e.Code = ConnectionTerminated
		if inBody {
			e.Code = ResponseIncomplete
		}
	case ofSystem(err), errors.Is(err, context.Canceled): // by Close, whose cause comes in a moment
		e.Code = ConnectionTerminated
	}
	return e
}

// ofTLS sets the code of an error of a TLS connection, and reports whether it is one.
func ofTLS(err error, e *Error) bool {
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		op          *net.OpError
	)
	switch {
	case errors.As(err, &certificate):
		e.Code = TLSCertificateError
	case errors.As(err, &record):
		e.Code = TLSProtocolError
	case !errors.As(err, &op):
		return strings.HasPrefix(err.Error(), "tls: ") && set(e, TLSProtocolError)
	case op.Op == "local error": // of crypto/tls: it has sent an alert
		e.Code = TLSProtocolError
	case op.Op == "remote error":
		e.Code = TLSAlertReceived
		if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 { // a type that is not exported
			e.Alert = uint8(v.Uint())
		}
	default:
		return false
	}
	return true
}

func set(e *Error, c Code) bool {
	e.Code = c
	return true
}

// StreamError is what net/http shows of an error of an HTTP/2 stream: it fills a type with this
// name and these fields for errors.As.
type StreamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

// Error implements error.
func (e StreamError) Error() string { return "an error of an HTTP/2 stream" }

// Codes of errors of HTTP/2 (RFC 9113, 7) that do not blame what was sent.
const (
	noError      = 0
	internal     = 2
	streamClosed = 5
	refused      = 7
	cancelled    = 8
	calm         = 11
)

// ofStream sets the code of an error of an HTTP/2 stream, and reports whether it is one.
func ofStream(err error, e *Error) bool {
	var s StreamError
	if !errors.As(err, &s) {
		return false
	}
	switch s.Code {
	case noError, internal, streamClosed, refused, cancelled, calm:
		e.Code = ConnectionTerminated
	default:
		e.Code = ProtocolError
	}
	return true
}

// ofSystem reports whether the error is of a connection that is lost.
func ofSystem(err error) bool {
	var number syscall.Errno
	return errors.As(err, &number) || errors.Is(err, net.ErrClosed)
}
