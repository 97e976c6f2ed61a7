package canon

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Frame has the core values of one side of a call, and its memory.
//
// A Frame serves one call at a time, on one goroutine at a time. Values and places that come of it
// hold until Begin is called again.
type Frame struct {
	side Side
	mem  []byte
	flat []plan.Value
	work work
	peer *Frame // whose memory may be the same one
}

// Begin makes f ready for a call. mem is side.Memory(), which the caller may have at hand. flat are
// the core values of the call; f keeps it, reads it and writes it. It may be longer than they are.
func (f *Frame) Begin(side Side, mem []byte, flat []plan.Value) {
	f.side, f.mem, f.flat, f.work, f.peer = side, mem, flat, work{}, nil
}

// Refresh takes the memory again. It must be called after code of the guest ran, but not after
// a realloc that this package made.
func (f *Frame) Refresh() { f.mem = f.side.Memory() }

// Side returns the side that Begin was given.
func (f *Frame) Side() Side { return f.side }

// Lift returns the value of a type that the core values carry: from the first one on, or if it is
// in memory at the address that the first one is.
func (f *Frame) Lift(t *types.Type, inMemory bool) Value {
	if inMemory {
		return f.LiftAt(t, uint32(f.flat[0].Bits))
	}
	return Value{f: f, t: t, flat: true}
}

// LiftAt returns the value of a type at an address that the guest gave.
func (f *Frame) LiftAt(t *types.Type, at uint32) Value {
	f.check(t, at, "value")
	return Value{f: f, t: t, at: at}
}

// Lower returns the place for a value of a type in the core values, from the first one on, or if it
// has to be in memory in new memory of the guest, whose address becomes the first core value.
func (f *Frame) Lower(t *types.Type, inMemory bool) Place {
	if inMemory {
		at := f.allocate(t.Align, t.Size)
		f.flat[0] = plan.Value{Bits: uint64(at)}
		return Place{f: f, t: t, at: at}
	}
	return Place{f: f, t: t, flat: true}
}

// LowerAt returns the place for a value of a type at an address that the guest gave.
func (f *Frame) LowerAt(t *types.Type, at uint32) Place {
	f.check(t, at, "place for the result")
	return Place{f: f, t: t, at: at}
}

// LiftBuffer returns n values that lie behind each other at an address that the guest gave: the
// buffer that it writes to a stream.
func (f *Frame) LiftBuffer(elem *types.Type, at, n uint32) Values {
	return Values{f: f, elem: elem, at: f.checkBuffer(elem, at, n), n: n}
}

// LowerBuffer returns n places that lie behind each other at an address that the guest gave: the
// buffer into which it reads from a stream.
func (f *Frame) LowerBuffer(elem *types.Type, at, n uint32) Places {
	return Places{f: f, elem: elem, at: f.checkBuffer(elem, at, n), n: n}
}
