package canon_test

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

func variant(cases ...*types.Type) *types.Type {
	labels := []string{"a", "b", "c", "d", "e"}
	return types.New(types.Type{Kind: types.Variant, Labels: labels[:len(cases)], Elems: cases})
}

func labelled(n int) []string { return slices.Repeat([]string{"l"}, n) }

const garbage = 0xaaaaaaaa_00000000

// TestKinds: each kind has the core values, and the bytes in memory, that the specification says,
// and is lifted from those, whatever else is in the bits that do not belong to it.
func TestKinds(t *testing.T) {
	f32, f64 := types.Prim(types.F32), types.Prim(types.F64)
	joined := variant(f32, u64, types.Prim(types.U32), f64, nil)
	nan := math.Float64frombits(0x7ff4000000000001)
	for _, test := range []struct {
		name  string
		t     *types.Type
		given []uint64 // core values that are lifted
		value any
		flat  []uint64 // core values that are lowered
		mem   string
	}{
		{"true", flag, []uint64{garbage | 2}, true, []uint64{1}, "\x01"},
		{"false", flag, []uint64{garbage}, false, []uint64{0}, "\x00"},
		{"u8", u8, []uint64{garbage | 0x1ff}, uint8(0xff), []uint64{0xff}, "\xff"},
		{"s8", types.Prim(types.S8), []uint64{garbage | 0x80}, int8(-128), []uint64{0xffffff80}, "\x80"},
		{"u16", types.Prim(types.U16), []uint64{garbage | 0x1fffe}, uint16(0xfffe), []uint64{0xfffe}, "\xfe\xff"},
		{"s16", types.Prim(types.S16), []uint64{garbage | 0x8000}, int16(-32768), []uint64{0xffff8000}, "\x00\x80"},
		{"u32", types.Prim(types.U32), []uint64{garbage | 0xfffffffe}, uint32(0xfffffffe), []uint64{0xfffffffe}, "\xfe\xff\xff\xff"},
		{"s32", s32, []uint64{garbage | 0xfffffffe}, int32(-2), []uint64{0xfffffffe}, "\xfe\xff\xff\xff"},
		{"u64", u64, []uint64{math.MaxUint64}, uint64(math.MaxUint64), []uint64{math.MaxUint64}, "\xff\xff\xff\xff\xff\xff\xff\xff"},
		{"s64", types.Prim(types.S64), []uint64{1 << 63}, int64(math.MinInt64), []uint64{1 << 63}, "\x00\x00\x00\x00\x00\x00\x00\x80"},
		{"f32", f32, []uint64{garbage | 0x3fc00000}, float32(1.5), []uint64{0x3fc00000}, "\x00\x00\xc0\x3f"},
		{"f64", f64, []uint64{0x3ff8000000000000}, 1.5, []uint64{0x3ff8000000000000}, "\x00\x00\x00\x00\x00\x00\xf8\x3f"},
		{"a NaN", f64, []uint64{0x7ff4000000000001}, nan, []uint64{0x7ff4000000000001}, "\x01\x00\x00\x00\x00\x00\xf4\x7f"},
		{"char", types.Prim(types.Char), []uint64{garbage | 0x1f642}, canontest.Char('🙂'), []uint64{0x1f642}, "\x42\xf6\x01\x00"},
		{"flags of 3", types.New(types.Type{Kind: types.Flags, Labels: labelled(3)}), []uint64{garbage | 0xfd},
			canontest.Flags(5), []uint64{5}, "\x05"},
		{"flags of 9", types.New(types.Type{Kind: types.Flags, Labels: labelled(9)}), []uint64{0xffff},
			canontest.Flags(0x1ff), []uint64{0x1ff}, "\xff\x01"},
		{"flags of 32", types.New(types.Type{Kind: types.Flags, Labels: labelled(32)}), []uint64{garbage | 0x80000001},
			canontest.Flags(0x80000001), []uint64{0x80000001}, "\x01\x00\x00\x80"},
		{"enum", types.New(types.Type{Kind: types.Enum, Labels: labelled(257)}), []uint64{garbage | 256},
			canontest.Case{N: 256}, []uint64{256}, "\x00\x01"},
		{"tuple", tuple(u8, types.Prim(types.U32), u8), []uint64{1, 2, 3},
			[]any{uint8(1), uint32(2), uint8(3)}, []uint64{1, 2, 3}, "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00"},
		{"fixed", types.New(types.Type{Kind: types.FixedList, Elems: []*types.Type{types.Prim(types.U16)}, Length: 2}),
			[]uint64{1, 2}, []any{uint16(1), uint16(2)}, []uint64{1, 2}, "\x01\x00\x02\x00"},
		{"none", types.New(types.Type{Kind: types.Option, Elems: []*types.Type{nil, u8}}), []uint64{0, 77},
			canontest.Case{}, []uint64{0, 0}, "\x00\x00"},
		{"some", types.New(types.Type{Kind: types.Option, Elems: []*types.Type{nil, u8}}), []uint64{1, 77},
			canontest.Case{N: 1, Value: uint8(77)}, []uint64{1, 77}, "\x01\x4d"},
		{"f32 where an i64 passes", joined, []uint64{0, garbage | 0x3fc00000},
			canontest.Case{N: 0, Value: float32(1.5)}, []uint64{0, 0x3fc00000}, ""},
		{"u32 where an i64 passes", joined, []uint64{2, garbage | 9}, canontest.Case{N: 2, Value: uint32(9)}, []uint64{2, 9}, ""},
		{"f64 where an i64 passes", joined, []uint64{3, 0x3ff8000000000000}, canontest.Case{N: 3, Value: 1.5}, []uint64{3, 0x3ff8000000000000}, ""},
		{"nothing where an i64 passes", joined, []uint64{4, 99}, canontest.Case{N: 4}, []uint64{4, 0}, ""},
		{"s8 where an i64 passes", variant(types.Prim(types.S8), u64), []uint64{0, garbage | 0xff},
			canontest.Case{N: 0, Value: int8(-1)}, []uint64{0, 0xffffffff}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, to := newSide(256, binary.UTF8), newSide(256, binary.UTF8)
			from.flat = values(test.given...)
			same := func(got any) bool { return test.name == "a NaN" || reflect.DeepEqual(got, test.value) }
			if got := canontest.Lift(from.Lift(test.t, false)); !same(got) {
				t.Errorf("lifted %#v, want %#v", got, test.value)
			}
			check := func(how string) {
				for i, want := range test.flat {
					if got := to.flat[i].Bits; got != want {
						t.Errorf("%s: core value %d is %#x, want %#x", how, i, got, want)
					}
				}
			}
			to.flat = values(1<<63, 1<<63, 1<<63)
			canontest.Lower(to.Lower(test.t, false), test.value)
			check("lowered")
			to.flat = values(1<<63, 1<<63, 1<<63)
			canon.Copy(to.Lower(test.t, false), from.Lift(test.t, false))
			check("copied")
			canon.Copy(to.LowerAt(test.t, 64), from.Lift(test.t, false))
			if got := string(to.Mem[64 : 64+test.t.Size]); test.mem != "" && got != test.mem {
				t.Errorf("in memory it is %q, want %q", got, test.mem)
			}
			if got := canontest.Lift(to.LiftAt(test.t, 64)); !same(got) {
				t.Errorf("lifted %#v from memory, want %#v", got, test.value)
			}
			again := newSide(256, binary.UTF8)
			canon.Copy(again.Lower(test.t, false), to.LiftAt(test.t, 64))
			if again.flat[0].Bits != test.flat[0] {
				t.Errorf("copied from memory, the first core value is %#x", again.flat[0].Bits)
			}
		})
	}
}

// TestValuesAreNormalised: bytes of memory that are more than one way to write a value become the
// one way.
func TestValuesAreNormalised(t *testing.T) {
	bools := list(flag)
	from, to := newSide(256, binary.UTF8), newSide(256, binary.UTF8)
	copy(from.Mem[64:], "\x00\x01\x02\xff")
	from.flat = values(64, 4)
	canon.Copy(to.Lower(bools, false), from.Lift(bools, false))
	if got := string(to.Mem[to.flat[0].Bits:][:4]); got != "\x00\x01\x01\x01" {
		t.Errorf("bools are %q", got)
	}
	flags := types.New(types.Type{Kind: types.Flags, Labels: labelled(3)})
	from.Mem[64] = 0xff
	canon.Copy(to.LowerAt(flags, 128), from.LiftAt(flags, 64))
	if to.Mem[128] != 7 {
		t.Errorf("flags are %#x", to.Mem[128])
	}
}

// TestBytesBetweenFields: they may be a secret, and stay where they are.
func TestBytesBetweenFields(t *testing.T) {
	ty := list(tuple(u8, types.Prim(types.U32)))
	from, to := newSide(256, binary.UTF8), newSide(256, binary.UTF8)
	copy(from.Mem[64:], "\x01secr\x00\x00\x00\x02ets\x03\x00\x00\x00")
	from.flat = values(64, 2)
	canon.Copy(to.Lower(ty, false), from.Lift(ty, false))
	if got := string(to.Mem[to.flat[0].Bits:][:16]); got != "\x01\x00\x00\x00r\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00" {
		t.Errorf("got %q", got)
	}
}

// TestBuffersThatOverlap: an instance may read what it writes itself.
func TestBuffersThatOverlap(t *testing.T) {
	for _, by := range []int{-16, 0, 16} {
		for _, n := range []int{64, 4 << 20} {
			s := newSide(n+256, binary.UTF8)
			for i := range n {
				s.Mem[64+i] = byte(i / 7)
			}
			want := slices.Clone(s.Mem[64 : 64+n])
			canon.CopyAll(s.LowerBuffer(u8, uint32(64+by), uint32(n)), s.LiftBuffer(u8, 64, uint32(n)))
			if !slices.Equal(s.Mem[64+by:64+by+n], want) {
				t.Errorf("%d bytes moved by %d became others", n, by)
			}
		}
	}
}

// TestStringsOfTheHost: what is not UTF-8 is made so, and the memory is asked for as for a string
// in UTF-8.
func TestStringsOfTheHost(t *testing.T) {
	for _, encoding := range encodings {
		s := newSide(4096, encoding)
		canontest.Lower(s.Lower(text, false), "a\xffb")
		if got := s.Lift(text, false).String(); got != "a\ufffdb" {
			t.Errorf("encoding %d: got %q", encoding, got)
		}
	}
	s := newSide(4096, binary.Latin1UTF16)
	s.Lower(text, false).String("né")
	if want := []canontest.Realloc{{Align: 2, Size: 3}, {Old: 16, OldSize: 3, Align: 2, Size: 2}}; !slices.Equal(s.Reallocs, want) {
		t.Errorf("the calls are %v, want %v", s.Reallocs, want)
	}
	s.LowerAt(types.Prim(types.Char), 8).Char(0xd800)
	if got := s.LiftAt(types.Prim(types.Char), 8).Char(); got != 0xfffd {
		t.Errorf("a surrogate became %#x", got)
	}
}

// TestMemoryMovesWithinAnInstance: the memory of both sides is the same one, and moves.
func TestMemoryMovesWithinAnInstance(t *testing.T) {
	strs := list(text)
	from := newSide(4096, binary.UTF8)
	to := &sideOf{Guest: from.Guest}
	to.again()
	want := []any{"one", "två", "三"}
	canontest.Lower(from.Lower(strs, false), want)
	from.Lie = func(_ canontest.Realloc, at uint32) uint32 {
		old := from.Mem
		from.Mem = slices.Clone(old)
		clear(old)
		return at
	}
	canon.CopyWithin(to.Lower(strs, false), from.Lift(strs, false))
	if got := canontest.Lift(to.Lift(strs, false)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestHandlesThatChange: an allocator that changes the case of a variant while it is copied cannot
// make a handle of one resource one of another.
func TestHandlesThatChange(t *testing.T) {
	a, b := &types.Resource{Name: "a"}, &types.Resource{Name: "b"}
	ownA, ownB := types.New(types.Type{Kind: types.Own, Resource: a}), types.New(types.Type{Kind: types.Own, Resource: b})
	for name, after := range map[string]byte{"another resource": 1, "no handle": 2} {
		from := newSide(4096, binary.UTF8)
		to := &sideOf{Guest: from.Guest}
		to.again()
		ty := list(variant(ownA, ownB, nil))
		canontest.Lower(from.Lower(ty, false), []any{canontest.Case{N: 0, Value: canon.Handle{Rep: 7}}})
		from.Lie = func(_ canontest.Realloc, at uint32) uint32 {
			from.Mem[from.flat[0].Bits] = after
			return at
		}
		if err := caught(func() { canon.CopyWithin(to.Lower(ty, false), from.Lift(ty, false)) }); err == nil {
			t.Errorf("%s: no trap", name)
		}
	}
}

// TestBytesThatComeBack: a host function may return bytes that it was given, though memory moves
// when they get their place.
func TestBytesThatComeBack(t *testing.T) {
	s := newSide(4096, binary.UTF8)
	copy(s.Mem[64:], "hello, world")
	s.flat = values(64, 12)
	s.Lie = func(_ canontest.Realloc, at uint32) uint32 {
		old := s.Mem
		s.Mem = slices.Clone(old)
		clear(old)
		return at
	}
	s.Lower(list(u8), false).Bytes(s.Lift(list(u8), false).Bytes()[7:])
	if got := string(s.Lift(list(u8), false).Bytes()); got != "world" {
		t.Errorf("got %q", got)
	}
}
