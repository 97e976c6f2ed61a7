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
	codec Codec[T]
}

// FutureReader is the readable end of a future that the host holds, like FutureWriter.
type FutureReader[T any] struct {
	hostEnd
	codec Codec[T]
}

// NewFuture makes a future that the host writes. t is its type as the function that returns it has
// it.
func NewFuture[T any](x *Instance, t *types.Type, c Codec[T]) (*FutureWriter[T], canon.Handle) {
	s := &shared{elem: t.Elems[0], future: true}
	return &FutureWriter[T]{x.hold(s), c}, canon.Handle{Host: s}
}

// ReadFuture makes the future that a guest gave one that the host reads.
func ReadFuture[T any](x *Instance, h canon.Handle, c Codec[T]) *FutureReader[T] {
	return &FutureReader[T]{x.hold(h.Host.(*shared)), c}
}

// Write gives the future its value, and closes the end when that was read or the reader dropped
// its end. A future that is closed without a value breaks the guest that reads it.
func (w *FutureWriter[T]) Write(v T) { w.WriteOr(v, func() {}) }

// WriteOr is Write. It has lost done if the reader drops its end and did not read the value.
func (w *FutureWriter[T]) WriteOr(v T, lost func()) {
	b := &buffer{elem: w.shared.elem, length: 1, host: &source[T]{[]T{v}, w.codec}}
	w.start(b, func(n int, _ bool) {
		w.Close()
		if n == 0 {
			lost()
		}
	})
}

// Read takes the value, and closes the end then. take is called soon after the guest's write, so
// that it may write to others.
func (r *FutureReader[T]) Read(take func(v T)) {
	var v T
	taken := func(vs []T) { v = vs[0] }
	b := &buffer{elem: r.shared.elem, length: 1, reads: true, host: &sink[T]{taken, r.codec}}
	r.start(b, func(n int, _ bool) {
		r.Close()
		if n == 1 {
			take(v)
		}
	})
}
