package wire

import (
	"errors"
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Errors of the protocol itself.
var (
	ErrStale   = errors.New("another agent has taken over the worker")
	ErrEnding  = fmt.Errorf("the worker is about to exit: %w", runtime.ErrLost)
	ErrUnknown = errors.New("the worker has no such run")
)

// classes are the errors that errors.Is finds again on the other side.
var classes = map[workerpb.Failure_Class]error{
	workerpb.Failure_FULL:         runtime.ErrFull,
	workerpb.Failure_NOT_COMPILED: runtime.ErrNotCompiled,
	workerpb.Failure_STALE:        ErrStale,
	workerpb.Failure_ENDING:       ErrEnding,
	workerpb.Failure_STDIN:        runtime.ErrStdin,
	workerpb.Failure_UNKNOWN:      ErrUnknown,
}

// remoteError is an error from the other side: its text, and the error of its class, if it has one.
type remoteError struct {
	text string
	of   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.of }

// ToFailure converts an error to a message.
func ToFailure(err error) *workerpb.Failure {
	f := &workerpb.Failure{Text: strings.ToValidUTF8(err.Error(), "\uFFFD")}
	for class, of := range classes {
		if errors.Is(err, of) {
			f.Class = class
		}
	}
	return f
}

// FromFailure converts a message to an error. errors.Is finds its class.
func FromFailure(f *workerpb.Failure) error {
	return &remoteError{text: clip(f.GetText(), longestText), of: classes[f.GetClass()]}
}
