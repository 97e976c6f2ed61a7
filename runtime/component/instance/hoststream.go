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
	codec Codec[T]
}

// StreamReader is the readable end of a stream that the host holds, like StreamWriter.
type StreamReader[T any] struct {
	hostEnd
	codec Codec[T]
}

// hostEnd is an end of a stream or future that the host holds.
type hostEnd struct {
	x      *Instance
	shared *shared
	busy   bool
	closed bool
}

func (x *Instance) hold(s *shared) hostEnd {
	if x.streams == maxStreams {
		canon.Trapf("the host holds more than %d ends of streams and futures", maxStreams)
	}
	x.streams++
	return hostEnd{x: x, shared: s}
}

// Close drops the end. What it reads or writes ends with that; done is not called.
func (e *hostEnd) Close() {
	if e.closed {
		return
	}
	e.closed = true
	e.x.streams--
	if e.busy {
		e.shared.reset()
	}
	e.shared.drop()
}

// Cancel ends a read or write: done is called soon, with what was moved.
func (e *hostEnd) Cancel() {
	if e.busy && !e.closed {
		e.shared.cancel()
	}
}

// Waits reports whether the other end reads or writes and waits for this one, and how many values
// it still has room for, or has. A Write or Read of up to that many then moves them at once.
func (e *hostEnd) Waits() (n int, waits bool) {
	b := e.shared.pending.buffer
	if b == nil || e.busy || b.length > 0 && b.remain() == 0 {
		return 0, false
	}
	return int(b.remain()), true
}

// OnDrop has f called soon, in the turn, if the other end is dropped while nothing is read or
// written. If something is, its done hears it.
func (e *hostEnd) OnDrop(f func()) {
	e.shared.onDrop = func() {
		e.x.followUps = append(e.x.followUps, func() {
			if !e.closed {
				f()
			}
		})
	}
}

// NewStream makes a stream that the host writes. t is its type as the function that returns it has
// it.
func NewStream[T any](x *Instance, t *types.Type, c Codec[T]) (*StreamWriter[T], canon.Handle) {
	s := &shared{elem: t.Elems[0]}
	return &StreamWriter[T]{x.hold(s), c}, canon.Handle{Host: s}
}

// ReadStream makes the stream that a guest gave one that the host reads.
func ReadStream[T any](x *Instance, h canon.Handle, c Codec[T]) *StreamReader[T] {
	return &StreamReader[T]{x.hold(h.Host.(*shared)), c}
}

// Write offers values. done is called when the reader took some or all of them, or dropped its end;
// until then vs belongs to the stream. Only one Write may be under way. Of no values it ends when
// the reader reads.
func (w *StreamWriter[T]) Write(vs []T, done func(n int, dropped bool)) {
	b := &buffer{elem: w.shared.elem, length: uint32(min(len(vs), maxBuffer)), host: &source[T]{vs, w.codec}}
	w.start(b, done)
}

// Read takes up to n values. take is called with the values as they come, and may keep the slice
// unless T is byte: then it is memory of the guest. Of a stream without a type it is not called.
// done is called after it, or when the writer dropped its end. Only one Read may be under way.
func (r *StreamReader[T]) Read(n int, take func(vs []T), done func(n int, dropped bool)) {
	b := &buffer{elem: r.shared.elem, length: uint32(min(n, maxBuffer)), reads: true, host: &sink[T]{take, r.codec}}
	r.start(b, done)
}

// start begins a read or write of the host. It ends with the first values that move.
func (e *hostEnd) start(b *buffer, done func(n int, dropped bool)) {
	if e.busy || e.closed {
		panic("instance: a read or write of a stream that is closed, or in use")
	}
	e.busy = true
	end := func(dropped bool) {
		e.busy = false
		e.x.followUps = append(e.x.followUps, func() {
			if !e.closed {
				done(int(b.progress), dropped)
			}
		})
	}
	e.shared.start(copying{
		buffer: b,
		onCopy: func(reclaim func()) { reclaim(); end(false) },
		onDone: func(r copyResult) { end(r == copyDropped) },
	})
}

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
