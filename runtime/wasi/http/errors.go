package http

import (
	"errors"
	"fmt"
)

// Errors of an answer.
var (
	// ErrAnswered is the error of a second response.
	ErrAnswered = errors.New("the request has its response already")
	// ErrInform is the error of an informational response that cannot be sent.
	ErrInform = errors.New("the informational response has a wrong status, or comes too late, or is one too many")
	// ErrStatus is the error of a response with a status that no response has.
	ErrStatus = errors.New("the status of the response is not from 200 to 999")
	// ErrLength is the error of a response whose header content-length is no length.
	ErrLength = errors.New("the content-length of the response is not a number of bytes")
	// ErrNoResponse is why a guest that gave none has no response.
	ErrNoResponse = errors.New("the guest gave no response")
	// ErrIncomplete is the end of a body that the guest did not finish.
	ErrIncomplete = errors.New("the guest did not finish the body of its message")
	// ErrUnsent is why a body is for no one: the guest did not send its request, or may not.
	ErrUnsent = errors.New("the request was not sent")
)

// Errors of bodies that a server ends: for End of a request's body, and for Close of an answer.
// Guests get the code of them; another error is connection-terminated.
var (
	// ErrBodySize is the error of a request's body that is larger than it may be.
	ErrBodySize = errors.New("the body of the request is too large")
	// ErrStalled is the error of a client that sent, or took, nothing for too long.
	ErrStalled = errors.New("the client has stalled")
)

// SizeError is the error of a response whose body does not have the length of its header.
type SizeError struct{ Declared, Written uint64 }

// Error implements error.
func (e *SizeError) Error() string {
	return fmt.Sprintf("the body of the response has %d bytes, and its content-length says %d", e.Written, e.Declared)
}

// CodeError is the name of an error-code of WASI that a guest answered with. It has no text that is
// the guest's.
type CodeError string

// Error implements error.
func (e CodeError) Error() string { return "the guest answered with the error " + string(e) }
