package typed

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

var (
	// ErrLater is what an async function returns if its result comes later.
	ErrLater = errors.New("the result comes later")
	// ErrCancelled is the error of a call that the guest cancelled.
	ErrCancelled = errors.New("the guest cancelled the call")
)

// Async is a call of a function that is async in WIT. It is a value of two words.
type Async[T any] struct {
	Call *canon.Call
	// Answer lowers a result.
	Answer func(c *canon.Call, v T, err error)
}

// Later lets the function answer after it returned: it has to return ErrLater. done takes the
// result once, on any goroutine, and returns at once; the guest gets it in its turn. What the
// function got of the guest's memory is not there any more, and what it gives to done must stay as
// it is.
//
// cancel is called in the guest's turn if the guest wants to cancel the call. It may not wait.
// After it, done has to be called soon, with the result if there is one, else with ErrCancelled.
func (a Async[T]) Later(cancel func()) (done func(v T, err error)) {
	finish := a.Call.Task.Later(a.Call, cancel)
	return func(v T, err error) {
		if errors.Is(err, ErrCancelled) {
			finish(nil)
			return
		}
		finish(func(c *canon.Call) { a.Answer(c, v, err) })
	}
}

// Finish answers the call with what its function returned.
func (a Async[T]) Finish(v T, err error) {
	if err != ErrLater { //nolint:errorlint // it is returned as it is; this is on the way of every call
		a.Answer(a.Call, v, err)
	}
}
