package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// buffer is where a read wants values, or a write has them: in a guest's memory or with the host.
type buffer struct {
	elem             *types.Type // or nil
	length, progress uint32
	reads            bool // it is for a read

	side  *side // of a guest
	frame canon.Frame
	at    uint32

	host hostValues // of the host
}

// hostValues are values that the host reads or writes, from the first one that has not been moved
// on. Those of one buffer move with the values of a guest or of another hostValues.
type hostValues interface {
	lower(to canon.Places)
	lift(from canon.Values)
	// give returns the next n as a slice; take gets such a slice.
	give(n int) any
	take(values any)
}

// begin makes b a buffer in a guest's memory.
func (b *buffer) begin(s *side, elem *types.Type, at, length uint32, reads bool) {
	if length > maxBuffer {
		canon.Trapf("a buffer has %d elements or more", maxBuffer+1)
	}
	*b = buffer{elem: elem, length: length, reads: reads, side: s, at: at}
	if elem != nil {
		b.frame.Begin(s, s.Memory(), nil)
		b.frame.LiftBuffer(elem, at, length)
	}
}

func (b *buffer) remain() uint32 { return b.length - b.progress }

// values are the next n values of a guest's buffer.
func (b *buffer) values(n uint32) canon.Values {
	b.frame.Begin(b.side, b.side.Memory(), nil)
	return b.frame.LiftBuffer(b.elem, b.at+b.progress*b.elem.Size, n)
}

// places are the next n places of a guest's buffer.
func (b *buffer) places(n uint32) canon.Places {
	b.frame.Begin(b.side, b.side.Memory(), nil)
	return b.frame.LowerBuffer(b.elem, b.at+b.progress*b.elem.Size, n)
}

// move moves n values from the buffer of a write to that of a read.
func move(a, b *buffer, n uint32) {
	to, from := a, b
	if !a.reads {
		to, from = b, a
	}
	switch {
	case to.elem == nil:
	case to.host != nil && from.host != nil:
		to.host.take(from.host.give(int(n)))
	case to.host != nil:
		to.host.lift(from.values(n))
	case from.host != nil:
		from.host.lower(to.places(n))
	default:
		canon.CopyAll(to.places(n), from.values(n))
	}
	to.progress += n
	from.progress += n
}
