package typed

import (
	"unsafe"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// None is the value of what has none: of the missing type in result<T>, or of a stream of nothing.
type None struct{}

// Option is an option.
type Option[T any] struct {
	Is    bool // some, and not none
	Value T
}

// Some returns an option that has a value.
func Some[T any](v T) Option[T] { return Option[T]{true, v} }

// Result is a result that is not that of a function.
type Result[T, E any] struct {
	Failed bool
	OK     T
	Error  E
}

// OK returns a result that is ok.
func OK[T, E any](v T) Result[T, E] { return Result[T, E]{OK: v} }

// Fail returns a result that is an error.
func Fail[T, E any](e E) Result[T, E] { return Result[T, E]{Failed: true, Error: e} }

// LiftNone lifts nothing.
func LiftNone(canon.Value) None { return None{} }

// LowerNone lowers nothing.
func LowerNone(canon.Place, None) {}

// LiftOption lifts an option.
func LiftOption[T any](v canon.Value, lift func(canon.Value) T) (o Option[T]) {
	if v, ok := v.Some(); ok {
		o.Is, o.Value = true, lift(v)
	}
	return o
}

// LowerOption lowers an option.
func LowerOption[T any](p canon.Place, o Option[T], lower func(canon.Place, T)) {
	if !o.Is {
		p.Case(0)
		return
	}
	lower(p.Case(1), o.Value)
}

// LiftResult lifts a result.
func LiftResult[T, E any](v canon.Value, ok func(canon.Value) T, fail func(canon.Value) E) (r Result[T, E]) {
	n := v.Case()
	if n == 0 {
		r.OK = ok(v.Payload(n))
	} else {
		r.Failed, r.Error = true, fail(v.Payload(n))
	}
	return r
}

// LowerResult lowers a result.
func LowerResult[T, E any](p canon.Place, r Result[T, E], ok func(canon.Place, T), fail func(canon.Place, E)) {
	if r.Failed {
		fail(p.Case(1), r.Error)
		return
	}
	ok(p.Case(0), r.OK)
}

// LiftList lifts a list or map.
func LiftList[T any](v canon.Value, lift func(canon.Value) T) []T {
	l := v.List()
	var zero T
	all := make([]T, l.Reserve(int(unsafe.Sizeof(zero))))
	for i := range all {
		all[i] = lift(l.At(i))
	}
	return all
}

// LowerList lowers a list or map.
func LowerList[T any](p canon.Place, all []T, lower func(canon.Place, T)) {
	l := p.List(len(all))
	for i := range all {
		lower(l.At(i), all[i])
	}
}

// LiftArray lifts the elements of a list of fixed length, or of a tuple whose types are the same.
func LiftArray[T any](all []T, v canon.Value, lift func(canon.Value) T) {
	for i := range all {
		all[i] = lift(v.Field(i))
	}
}

// LowerArray lowers what LiftArray lifts.
func LowerArray[T any](p canon.Place, all []T, lower func(canon.Place, T)) {
	for i := range all {
		lower(p.Field(i), all[i])
	}
}
