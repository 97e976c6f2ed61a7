package typed

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Element says how the values of a stream or future move. That of bytes is empty: they are copied.
// What has streams has a type of these fields, to which an Element can be converted.
type Element[T any] struct {
	Lower func(to canon.Place, v T)
	Lift  func(from canon.Value) T
}

// Stream is the readable end of a stream, as it passes between guest and host.
type Stream[T any] struct {
	// Handle is the end that a guest gave.
	Handle canon.Handle
	// Make makes the end that a guest gets, of a type that is the guest's. If it is nil, the guest
	// gets Handle.
	Make func(t *types.Type) canon.Handle
}

// Future is the readable end of a future: see Stream.
type Future[T any] struct {
	Handle canon.Handle
	Make   func(t *types.Type) canon.Handle
}

// ErrorContext is an error context.
type ErrorContext struct{ Handle canon.Handle }

// LiftStream lifts a stream.
func LiftStream[T any](v canon.Value) Stream[T] { return Stream[T]{Handle: v.Handle()} }

// LowerStream lowers a stream.
func LowerStream[T any](p canon.Place, s Stream[T]) { lowerEnd(p, s.Handle, s.Make) }

// LiftFuture lifts a future.
func LiftFuture[T any](v canon.Value) Future[T] { return Future[T]{Handle: v.Handle()} }

// LowerFuture lowers a future.
func LowerFuture[T any](p canon.Place, f Future[T]) { lowerEnd(p, f.Handle, f.Make) }

func lowerEnd(p canon.Place, h canon.Handle, make func(t *types.Type) canon.Handle) {
	if make != nil {
		h = make(p.Type())
	}
	p.Handle(h)
}

// LiftErrorContext lifts an error context.
func LiftErrorContext(v canon.Value) ErrorContext { return ErrorContext{v.Handle()} }

// LowerErrorContext lowers an error context.
func LowerErrorContext(p canon.Place, e ErrorContext) { p.Handle(e.Handle) }
