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
func (w *FutureWriter[T]) Write(v T) {
	b := &buffer{elem: w.shared.elem, length: 1, host: &source[T]{[]T{v}, w.codec}}
	w.start(b, func(int, bool) { w.Close() })
}

// Read takes the value, and closes the end then.
func (r *FutureReader[T]) Read(take func(v T)) {
	taken := func(vs []T) { take(vs[0]) }
	b := &buffer{elem: r.shared.elem, length: 1, reads: true, host: &sink[T]{taken, r.codec}}
	r.start(b, func(n int, _ bool) {
		r.Close()
		if r.shared.elem == nil && n == 1 {
			var nothing T
			take(nothing)
		}
	})
}
