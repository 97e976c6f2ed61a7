package typed

import (
	"errors"
	"strconv"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// Failure is the error of a result whose own type is no Go error.
type Failure[E any] struct{ Value E }

// Error says that the call failed: what the value means, only the function's caller knows.
func (Failure[E]) Error() string { return "the call failed" }

// ErrFailed is the error of a result that has no type of error.
var ErrFailed error = Failure[None]{}

// End unwinds the guest with an error.
func End(err error) { panic(&canon.Trap{Err: err}) }

// Check unwinds the guest if there is an error.
func Check(err error) {
	if err != nil {
		End(err)
	}
}

// LowerError lowers a result that is an error. It unwinds the guest if err is, and wraps, no E.
func LowerError[E error](p canon.Place, err error, lower func(canon.Place, E)) {
	e, ok := err.(E) //nolint:errorlint // the way that is taken nearly always; what wraps an E follows
	if !ok {
		e = unwrap[E](err)
	}
	lower(p.Case(1), e)
}

// unwrap is apart, as it makes its variable escape.
func unwrap[E error](err error) E {
	var e E
	if !errors.As(err, &e) {
		End(err)
	}
	return e
}

// LowerFailure is LowerError where the type of the error is no Go error.
func LowerFailure[E any](p canon.Place, err error, lower func(canon.Place, E)) {
	LowerError(p, err, func(p canon.Place, f Failure[E]) { lower(p, f.Value) })
}

// LiftError lifts the error of a result that a guest returned.
func LiftError[E error](v canon.Value, lift func(canon.Value) E) error { return lift(v.Payload(1)) }

// LiftFailure is LiftError where the type of the error is no Go error.
func LiftFailure[E any](v canon.Value, lift func(canon.Value) E) error {
	return Failure[E]{lift(v.Payload(1))}
}

// Label returns a label, or what stands for one that is not there.
func Label(labels []string, i int) string {
	if i < len(labels) {
		return labels[i]
	}
	return "case " + strconv.Itoa(i)
}
