package binary

import (
	"errors"
	"fmt"
)

// Why a binary is refused. Each *Error is one of the two.
var (
	// ErrMalformed says that bytes do not follow the format.
	ErrMalformed = errors.New("malformed")
	// ErrUnsupported says that the format has what is there, but it does not run here, or there is
	// more of it than may be.
	ErrUnsupported = errors.New("unsupported")
)

// Error says why a binary is refused.
type Error struct {
	At   int    // offset in the file, or in the module that ReadCore was given
	Kind error  // ErrMalformed or ErrUnsupported
	What string // the reason
	// doing is what was read.
	doing string
}

func (e *Error) Error() string {
	return fmt.Sprintf("reading the %s: at 0x%x: %s", e.doing, e.At, e.What)
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// stop carries an error from where something cannot be read to the function that was called.
type stop struct{ err *Error }

// caught returns in err what a stop carries. Other panics go on.
func caught(err *error) {
	switch p := recover().(type) {
	case nil:
	case stop:
		*err = p.err
	default:
		panic(p)
	}
}
