package canon

import (
	"encoding/binary"
	"math"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Value is a value that a guest gives, where it lies: in core values or in memory. Its methods lift
// it. The caller knows its type, and calls the methods of that kind only.
//
// A list or string may be lifted until code of the guest runs; a handle may be lifted once.
type Value struct {
	f    *Frame
	t    *types.Type
	at   uint32 // an address, or the number of a core value
	flat bool
}

// Type returns the value's type.
func (v Value) Type() *types.Type { return v.t }

// Bool lifts a bool.
func (v Value) Bool() bool {
	if v.flat {
		return uint32(v.f.flat[v.at].Bits) != 0
	}
	return v.f.mem[v.at] != 0
}

// U8 lifts a u8, as all of these do by their names.
func (v Value) U8() uint8 {
	if v.flat {
		return uint8(v.f.flat[v.at].Bits)
	}
	return v.f.mem[v.at]
}

// U16 lifts a u16.
func (v Value) U16() uint16 {
	if v.flat {
		return uint16(v.f.flat[v.at].Bits)
	}
	return binary.LittleEndian.Uint16(v.f.mem[v.at:])
}

// U32 lifts a u32.
func (v Value) U32() uint32 {
	if v.flat {
		return uint32(v.f.flat[v.at].Bits)
	}
	return binary.LittleEndian.Uint32(v.f.mem[v.at:])
}

// U64 lifts a u64.
func (v Value) U64() uint64 {
	if v.flat {
		return v.f.flat[v.at].Bits
	}
	return binary.LittleEndian.Uint64(v.f.mem[v.at:])
}

// S8 lifts an s8.
func (v Value) S8() int8 { return int8(v.U8()) }

// S16 lifts an s16.
func (v Value) S16() int16 { return int16(v.U16()) }

// S32 lifts an s32.
func (v Value) S32() int32 { return int32(v.U32()) }

// S64 lifts an s64.
func (v Value) S64() int64 { return int64(v.U64()) }

// F32 lifts an f32. A NaN keeps its bits.
func (v Value) F32() float32 { return math.Float32frombits(v.U32()) }

// F64 lifts an f64. A NaN keeps its bits.
func (v Value) F64() float64 { return math.Float64frombits(v.U64()) }

// Char lifts a char.
func (v Value) Char() rune { return toChar(v.U32()) }

// Flags lifts flags: bit i is the flag of label i, and there are no other bits.
func (v Value) Flags() uint32 { return v.number(v.t.Size) & flagsMask(v.t) }

// Field returns a field of a record or tuple, or an element of a list of fixed length.
func (v Value) Field(i int) Value {
	t, at := field(v.t, i, v.at, v.flat)
	return Value{f: v.f, t: t, at: at, flat: v.flat}
}

// Case lifts the number of the case of a variant, enum, option or result. An option has the cases
// 0, none, and 1, some; a result has 0, ok, and 1, error.
func (v Value) Case() int {
	n := v.number(v.t.Discriminant)
	if n >= uint32(v.t.Cases()) {
		Trapf("%s has %d cases, and the guest gave the number of another", kindName(v.t), v.t.Cases())
	}
	return int(n)
}

// Payload returns the value of the case of a number that Case returned, if that case has one.
func (v Value) Payload(n int) Value {
	return Value{f: v.f, t: v.t.Case(n), at: payload(v.t, v.at, v.flat), flat: v.flat}
}

// Some lifts an option: it returns its value, and reports whether there is one.
func (v Value) Some() (Value, bool) {
	if v.Case() == 0 {
		return Value{}, false
	}
	return v.Payload(1), true
}

// Handle lifts a handle, a stream, a future or an error context.
func (v Value) Handle() Handle { return v.f.side.LiftHandle(v.t, v.U32()) }

// String lifts a string, which is a copy.
func (v Value) String() string { return v.f.loadString(v.pair()) }

// Start lifts a string, all of which is checked, and returns a copy of its beginning: up to most
// bytes of UTF-8, with no character cut.
func (v Value) Start(most int) string {
	at, n := v.pair()
	return v.f.loadStart(at, n, most)
}

// Bytes lifts a list of u8 without a copy: it returns the guest's memory. The bytes may be read
// until code of the guest runs, and may not be written.
func (v Value) Bytes() []byte { return v.List().Bytes() }

// List lifts a list or map.
func (v Value) List() Values {
	at, n := v.pair()
	e := v.t.Elems[0]
	v.f.checkList(e, at, n)
	return Values{f: v.f, elem: e, at: at, n: n}
}

// number lifts a number of a size that the type has in memory. As a core value it is an i32.
func (v Value) number(size uint32) uint32 {
	switch {
	case v.flat || size == 4:
		return v.U32()
	case size == 2:
		return uint32(v.U16())
	}
	return uint32(v.U8())
}

// pair lifts the address and the length of a list or string.
func (v Value) pair() (at, n uint32) {
	if v.flat {
		return uint32(v.f.flat[v.at].Bits), uint32(v.f.flat[v.at+1].Bits)
	}
	return binary.LittleEndian.Uint32(v.f.mem[v.at:]), binary.LittleEndian.Uint32(v.f.mem[v.at+4:])
}

// Values are values of one type that lie behind each other in memory.
type Values struct {
	f     *Frame
	elem  *types.Type
	at, n uint32
}

// Len returns how many they are. It is a number that the guest chose, bounded only by its memory:
// see Reserve.
func (l Values) Len() int { return int(l.n) }

// At returns a value.
func (l Values) At(i int) Value {
	return Value{f: l.f, t: l.elem, at: l.at + uint32(i)*l.elem.Size}
}

// Reserve returns Len, for a slice with this many elements of size bytes each in Go. It traps if
// the call makes the host keep too much.
func (l Values) Reserve(size int) int {
	l.f.lifted(uint64(l.n) * uint64(max(size, elementCost)))
	return int(l.n)
}

// Bytes returns the memory of values of type u8, without a copy: see Value.Bytes.
func (l Values) Bytes() []byte {
	end := uint64(l.at) + uint64(l.n)*uint64(l.elem.Size)
	return l.f.mem[l.at:end:end]
}
