package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Codec says how values of the host are lifted and lowered. That of bytes is empty.
type Codec[T any] struct {
	Lower func(to canon.Place, v T)
	Lift  func(from canon.Value) T
}

// StreamWriter is the writable end of a stream that the host holds. Its methods are called in the
// component's turn.
type StreamWriter[T any] struct {
	hostEnd
	source source[T]
	done   func(n int, dropped bool)
	own    shared // the stream
}

// StreamReader is the readable end of a stream that the host holds, like StreamWriter.
type StreamReader[T any] struct {
	hostEnd
	sink sink[T]
	done func(n int, dropped bool)
}

// NewStream makes a stream that the host writes. t is its type as the function that returns it has
// it.
func NewStream[T any](x *Instance, t *types.Type, c Codec[T]) (*StreamWriter[T], canon.Handle) {
	w := &StreamWriter[T]{source: source[T]{codec: c}, own: shared{elem: t.Elems[0]}}
	w.hold(x, &w.own, w)
	return w, canon.Handle{Host: &w.own}
}

// ReadStream makes the stream that a guest gave one that the host reads.
func ReadStream[T any](x *Instance, h canon.Handle, c Codec[T]) *StreamReader[T] {
	r := &StreamReader[T]{sink: sink[T]{codec: c}}
	r.hold(x, h.Host.(*shared), r)
	return r
}

// Write offers values. done is called when the reader took some or all of them, or dropped its end;
// until then vs belongs to the stream. Only one Write may be under way, until its done is called.
// Of no values it ends when the reader reads.
func (w *StreamWriter[T]) Write(vs []T, done func(n int, dropped bool)) {
	w.mayStart()
	w.source.vs, w.done = vs, done
	w.start(buffer{elem: w.shared.elem, length: uint32(min(len(vs), maxBuffer)), host: &w.source})
}

func (w *StreamWriter[T]) copied(n int, dropped bool) { w.done(n, dropped) }

// Read takes up to n values. take is called with the values as they come, and may keep the slice
// unless T is byte: then it is memory of the guest. Of a stream without a type it is not called.
// done is called after it, or when the writer dropped its end. Only one Read may be under way,
// until its done is called.
func (r *StreamReader[T]) Read(n int, take func(vs []T), done func(n int, dropped bool)) {
	r.mayStart()
	r.sink.taken, r.done = take, done
	r.start(buffer{elem: r.shared.elem, length: uint32(min(n, maxBuffer)), reads: true, host: &r.sink})
}

func (r *StreamReader[T]) copied(n int, dropped bool) { r.done(n, dropped) }

// source is a slice of the host that is written.
type source[T any] struct {
	vs    []T
	codec Codec[T]
}

func (s *source[T]) next(n int) []T {
	vs := s.vs[:n:n]
	s.vs = s.vs[n:]
	return vs
}

func (s *source[T]) give(n int) any { return s.next(n) }
func (s *source[T]) take(any)       { panic("instance: a source takes nothing") }

func (s *source[T]) lift(canon.Values) { panic("instance: a source takes nothing") }

func (s *source[T]) lower(to canon.Places) {
	vs := s.next(to.Len())
	if bytes, ok := any(vs).([]byte); ok && s.codec.Lower == nil {
		copy(to.Bytes(), bytes)
		return
	}
	for i, v := range vs {
		s.codec.Lower(to.At(i), v)
	}
}

// sink takes what is read.
type sink[T any] struct {
	taken func(vs []T)
	codec Codec[T]
}

func (s *sink[T]) give(int) any       { panic("instance: a sink gives nothing") }
func (s *sink[T]) lower(canon.Places) { panic("instance: a sink gives nothing") }

func (s *sink[T]) take(vs any) { s.taken(vs.([]T)) }

func (s *sink[T]) lift(from canon.Values) {
	if s.codec.Lift == nil {
		if taken, ok := any(s.taken).(func([]byte)); ok {
			taken(from.Bytes())
			return
		}
	}
	vs := make([]T, 0, from.Reserve(sizeOf[T]()))
	for i := range from.Len() {
		vs = append(vs, s.codec.Lift(from.At(i)))
	}
	s.taken(vs)
}
