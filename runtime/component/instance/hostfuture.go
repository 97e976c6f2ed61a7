package instance

import (
	"unsafe"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

func sizeOf[T any]() int {
	var v T
	return int(unsafe.Sizeof(v))
}

// FutureWriter is the writable end of a future that the host holds. Its methods are called in the
// component's turn.
type FutureWriter[T any] struct {
	hostEnd
	value one[T]
	lost  func()
	own   shared // the future
}

// FutureReader is the readable end of a future that the host holds, like FutureWriter.
type FutureReader[T any] struct {
	hostEnd
	value one[T]
	take  func(v T)
}

// NewFuture makes a future that the host writes. t is its type as the function that returns it has
// it.
func NewFuture[T any](x *Instance, t *types.Type, c Codec[T]) (*FutureWriter[T], canon.Handle) {
	w := &FutureWriter[T]{value: one[T]{codec: c}, own: shared{elem: t.Elems[0], future: true}}
	w.hold(x, &w.own, w)
	return w, canon.Handle{Host: &w.own}
}

// ReadFuture makes the future that a guest gave one that the host reads.
func ReadFuture[T any](x *Instance, h canon.Handle, c Codec[T]) *FutureReader[T] {
	r := &FutureReader[T]{value: one[T]{codec: c}}
	r.hold(x, h.Host.(*shared), r)
	return r
}

// Write gives the future its value, and closes the end when that was read or the reader dropped
// its end. A future that is closed without a value breaks the guest that reads it.
func (w *FutureWriter[T]) Write(v T) { w.WriteOr(v, nil) }

// WriteOr is Write. It has lost done, if that is not nil, if the reader drops its end and did not
// read the value.
func (w *FutureWriter[T]) WriteOr(v T, lost func()) {
	w.mayStart()
	w.value.v, w.lost = v, lost
	w.start(buffer{elem: w.shared.elem, length: 1, host: &w.value})
}

func (w *FutureWriter[T]) copied(n int, _ bool) {
	w.Close()
	if n == 0 && w.lost != nil {
		w.lost()
	}
}

// Read takes the value, and closes the end then. take is called soon after the guest's write, so
// that it may write to others.
func (r *FutureReader[T]) Read(take func(v T)) {
	r.mayStart()
	r.take = take
	r.start(buffer{elem: r.shared.elem, length: 1, reads: true, host: &r.value})
}

func (r *FutureReader[T]) copied(n int, _ bool) {
	r.Close()
	if n == 1 {
		r.take(r.value.v)
	}
}

// one is the value of a future that the host writes or reads.
type one[T any] struct {
	v     T
	codec Codec[T]
}

func (o *one[T]) give(int) any           { return &o.v }
func (o *one[T]) take(v any)             { o.v = *v.(*T) }
func (o *one[T]) lower(to canon.Places)  { o.codec.Lower(to.At(0), o.v) }
func (o *one[T]) lift(from canon.Values) { o.v = o.codec.Lift(from.At(0)) }
