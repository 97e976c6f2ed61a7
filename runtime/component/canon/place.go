package canon

import (
	"encoding/binary"
	"math"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Place is where a value for a guest has to lie: in core values or in memory. Its methods lower a
// value into it. The caller knows its type, and calls the methods of that kind only, once.
type Place struct {
	f    *Frame
	t    *types.Type
	at   uint32 // an address, or the number of a core value
	flat bool
}

// Type returns the type of the place.
func (p Place) Type() *types.Type { return p.t }

// Bool lowers a bool.
func (p Place) Bool(v bool) {
	var n uint8
	if v {
		n = 1
	}
	p.U8(n)
}

// U8 lowers a u8, as all of these do by their names.
func (p Place) U8(v uint8) {
	if p.flat {
		p.f.flat[p.at] = plan.Value{Bits: uint64(v)}
		return
	}
	p.f.mem[p.at] = v
}

// U16 lowers a u16.
func (p Place) U16(v uint16) {
	if p.flat {
		p.f.flat[p.at] = plan.Value{Bits: uint64(v)}
		return
	}
	binary.LittleEndian.PutUint16(p.f.mem[p.at:], v)
}

// U32 lowers a u32.
func (p Place) U32(v uint32) {
	if p.flat {
		p.f.flat[p.at] = plan.Value{Bits: uint64(v)}
		return
	}
	binary.LittleEndian.PutUint32(p.f.mem[p.at:], v)
}

// U64 lowers a u64.
func (p Place) U64(v uint64) {
	if p.flat {
		p.f.flat[p.at] = plan.Value{Bits: v}
		return
	}
	binary.LittleEndian.PutUint64(p.f.mem[p.at:], v)
}

// S8 lowers an s8.
func (p Place) S8(v int8) {
	if p.flat {
		p.U32(uint32(int32(v)))
		return
	}
	p.U8(uint8(v))
}

// S16 lowers an s16.
func (p Place) S16(v int16) {
	if p.flat {
		p.U32(uint32(int32(v)))
		return
	}
	p.U16(uint16(v))
}

// S32 lowers an s32.
func (p Place) S32(v int32) { p.U32(uint32(v)) }

// S64 lowers an s64.
func (p Place) S64(v int64) { p.U64(uint64(v)) }

// F32 lowers an f32. A NaN keeps its bits.
func (p Place) F32(v float32) { p.U32(math.Float32bits(v)) }

// F64 lowers an f64. A NaN keeps its bits.
func (p Place) F64(v float64) { p.U64(math.Float64bits(v)) }

// Char lowers a char. What is no char becomes U+FFFD.
func (p Place) Char(v rune) { p.U32(fromChar(v)) }

// Flags lowers flags: bit i is the flag of label i. Other bits are left out.
func (p Place) Flags(v uint32) { p.number(p.t.Size, v&flagsMask(p.t)) }

// Field returns the place of a field of a record or tuple, or of an element of a list of fixed
// length.
func (p Place) Field(i int) Place {
	t, at := field(p.t, i, p.at, p.flat)
	return Place{f: p.f, t: t, at: at, flat: p.flat}
}

// Case lowers the number of the case of a variant, enum, option or result, and returns the place of
// the case's value, if it has one.
func (p Place) Case(n int) Place {
	p.number(p.t.Discriminant, uint32(n))
	if p.flat {
		clear(p.f.flat[p.at+1 : int(p.at)+len(p.t.Flat)])
	}
	return Place{f: p.f, t: p.t.Case(n), at: payload(p.t, p.at, p.flat), flat: p.flat}
}

// Handle lowers a handle, a stream, a future or an error context.
func (p Place) Handle(h Handle) { p.U32(p.f.side.LowerHandle(p.t, h)) }

// String lowers a string. Bytes that are not UTF-8 become U+FFFD.
func (p Place) String(s string) { p.pair(p.f.storeGo(s)) }

// Bytes lowers a list of u8. They may be what Value.Bytes returned for the same guest, if no code
// of it ran since.
func (p Place) Bytes(b []byte) {
	at, inside := offset(p.f.mem, b)
	to := p.NewBytes(len(b))
	if inside {
		b = p.f.mem[at : at+len(b)] // the memory may have moved
	}
	copy(to, b)
}

// NewBytes lowers a list of n u8, and returns the guest's memory for them. They may be written
// until the next list or string is lowered, or code of the guest runs.
func (p Place) NewBytes(n int) []byte { return p.List(n).Bytes() }

// List lowers a list or map of n elements, and returns their places. All of them have to be
// written.
func (p Place) List(n int) Places {
	l := p.f.newList(p.t.Elems[0], uint64(n))
	p.pair(l.at, l.n)
	return l
}

// number lowers a number of a size that the type has in memory. As a core value it is an i32.
func (p Place) number(size, v uint32) {
	switch {
	case p.flat || size == 4:
		p.U32(v)
	case size == 2:
		p.U16(uint16(v))
	default:
		p.U8(uint8(v))
	}
}

// pair lowers the address and the length of a list or string.
func (p Place) pair(at, n uint32) {
	if p.flat {
		p.f.flat[p.at], p.f.flat[p.at+1] = plan.Value{Bits: uint64(at)}, plan.Value{Bits: uint64(n)}
		return
	}
	binary.LittleEndian.PutUint32(p.f.mem[p.at:], at)
	binary.LittleEndian.PutUint32(p.f.mem[p.at+4:], n)
}

// Places are places of one type that lie behind each other in memory.
type Places struct {
	f     *Frame
	elem  *types.Type
	at, n uint32
}

// Len returns how many they are.
func (l Places) Len() int { return int(l.n) }

// At returns a place.
func (l Places) At(i int) Place {
	return Place{f: l.f, t: l.elem, at: l.at + uint32(i)*l.elem.Size}
}

// Bytes returns the memory of places of type u8: see Place.NewBytes.
func (l Places) Bytes() []byte {
	end := uint64(l.at) + uint64(l.n)*uint64(l.elem.Size)
	return l.f.mem[l.at:end:end]
}
