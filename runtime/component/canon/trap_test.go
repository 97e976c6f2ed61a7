package canon_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// caught returns the trap with which f unwound, or nil.
func caught(f func()) (err error) {
	defer canon.Recover(&err)
	f()
	return nil
}

func values(bits ...uint64) (flat [plan.MaxValues]plan.Value) {
	for i, b := range bits {
		flat[i].Bits = b
	}
	return flat
}

func list(e *types.Type) *types.Type {
	return types.New(types.Type{Kind: types.List, Elems: []*types.Type{e}})
}

func tuple(all ...*types.Type) *types.Type {
	return types.New(types.Type{Kind: types.Tuple, Elems: all})
}

const size = 1 << 16

// TestHostileValues: what a guest may not give traps, both where a component and where the host
// takes it, and says why.
func TestHostileValues(t *testing.T) {
	var (
		str    = types.Prim(types.String)
		char   = types.Prim(types.Char)
		option = types.New(types.Type{Kind: types.Option, Elems: []*types.Type{nil, types.Prim(types.U64)}})
		enum   = types.New(types.Type{Kind: types.Enum, Labels: []string{"a", "b", "c"}})
		many   = list(types.Prim(types.U64))
	)
	for _, test := range []struct {
		name     string
		encoding binary.Encoding
		t        *types.Type
		flat     []uint64
		mem      string // at 16
		want     string // "" for none
	}{
		{"a string at the end", binary.UTF8, str, []uint64{size - 1, 1}, "", ""},
		{"an empty string at the end", binary.UTF8, str, []uint64{size, 0}, "", ""},
		{"an empty string past the end", binary.UTF8, str, []uint64{size + 1, 0}, "", "outside"},
		{"a string past the end", binary.UTF8, str, []uint64{size - 1, 2}, "", "outside"},
		{"a string as long as there is", binary.UTF8, str, []uint64{0, math.MaxUint32}, "", "268435456 bytes or more"},
		{"a string that wraps around", binary.UTF8, str, []uint64{math.MaxUint32, 2}, "", "outside"},
		{"UTF-16 that wraps around", binary.UTF16, str, []uint64{0, 1 << 31}, "", "268435456 bytes or more"},
		{"UTF-16 at an odd address", binary.UTF16, str, []uint64{17, 1}, "", "not aligned to 2"},
		{"Latin-1 at an odd address", binary.Latin1UTF16, str, []uint64{17, 1}, "", "not aligned to 2"},
		{"empty UTF-16 at an odd address", binary.UTF16, str, []uint64{17, 0}, "", "not aligned to 2"},
		{"UTF-8 that is cut", binary.UTF8, str, []uint64{16, 2}, "\xe2\x82\xac", "not valid UTF-8"},
		{"UTF-8 that is too long", binary.UTF8, str, []uint64{16, 2}, "\xc0\x80", "not valid UTF-8"},
		{"UTF-8 with a surrogate", binary.UTF8, str, []uint64{16, 3}, "\xed\xa0\x80", "not valid UTF-8"},
		{"UTF-16 with half a surrogate", binary.UTF16, str, []uint64{16, 2}, "\x00\xd8a\x00", "not valid UTF-16"},
		{"UTF-16 that ends in a surrogate", binary.UTF16, str, []uint64{16, 2}, "a\x00\x00\xd8\x00\xdc", "not valid UTF-16"},
		{"UTF-16 with the halves the other way", binary.UTF16, str, []uint64{16, 2}, "\x00\xdc\x00\xd8", "not valid UTF-16"},
		{"both, with half a surrogate", binary.Latin1UTF16, str, []uint64{16, 1<<31 | 1}, "\x00\xd8", "not valid UTF-16"},
		{"both, with any Latin-1", binary.Latin1UTF16, str, []uint64{16, 4}, "\x80\xff\xd8\x00", ""},
		{"a char that is a surrogate", binary.UTF8, char, []uint64{0xd800}, "", "no Unicode scalar value"},
		{"the last surrogate", binary.UTF8, char, []uint64{0xdfff}, "", "no Unicode scalar value"},
		{"a char before them", binary.UTF8, char, []uint64{0xd7ff}, "", ""},
		{"a char above all", binary.UTF8, char, []uint64{0x110000}, "", "no Unicode scalar value"},
		{"the last char", binary.UTF8, char, []uint64{0x10ffff}, "", ""},
		{"an option with a third case", binary.UTF8, option, []uint64{2, 0}, "", "an option has 2 cases"},
		{"an enum with one case too many", binary.UTF8, enum, []uint64{3}, "", "an enum has 3 cases"},
		{"an enum with garbage above 32 bits", binary.UTF8, enum, []uint64{1<<32 | 2}, "", ""},
		{"a list that is not aligned", binary.UTF8, many, []uint64{20, 1}, "", "not aligned to 8"},
		{"an empty list that is not aligned", binary.UTF8, many, []uint64{20, 0}, "", "not aligned to 8"},
		{"a list past the end", binary.UTF8, many, []uint64{size - 8, 2}, "", "outside"},
		{"a list up to the end", binary.UTF8, many, []uint64{size - 8, 1}, "", ""},
		{"a list as long as there is", binary.UTF8, many, []uint64{16, math.MaxUint32}, "", "268435456 bytes or more"},
		{"a list that wraps around", binary.UTF8, many, []uint64{math.MaxUint32 - 7, 1}, "", "outside"},
		{"bytes as many as there are", binary.UTF8, list(types.Prim(types.U8)), []uint64{0, math.MaxUint32}, "", "268435456 bytes or more"},
		{"a bad char in a list", binary.UTF8, list(char), []uint64{16, 1}, "\x00\x00\x11\x00", "no Unicode scalar value"},
		{"a bad string in a list", binary.UTF8, list(str), []uint64{16, 1}, "\xff\xff\xff\xff\x01\x00\x00\x00", "outside"},
		{"a handle that is not there", binary.UTF8, types.Prim(types.ErrorContext), []uint64{5}, "", "no handle"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, take := range map[string]func(v canon.Value, to *sideOf){
				"component": func(v canon.Value, to *sideOf) { canon.Copy(to.Lower(test.t, false), v) },
				"host":      func(v canon.Value, _ *sideOf) { canontest.Lift(v) },
			} {
				from, to := newSide(size, test.encoding), newSide(4*size, binary.UTF16)
				copy(from.Mem[16:], test.mem)
				from.flat = values(test.flat...)
				err := caught(func() { take(from.Lift(test.t, false), to) })
				var trap *canon.Trap
				switch {
				case test.want == "" && err == nil:
				case test.want == "" || err == nil:
					t.Errorf("%s: the trap is %v", name, err)
				case !errors.As(err, &trap) || !strings.Contains(err.Error(), test.want):
					t.Errorf("%s: the trap is %q, want %q", name, err, test.want)
				}
			}
		})
	}
}

// TestAddressesOfArguments: where arguments and results are in memory, their address is checked.
func TestAddressesOfArguments(t *testing.T) {
	ty := tuple(types.Prim(types.U64), types.Prim(types.U8))
	for at, want := range map[uint64]string{
		size - 16: "", size - 8: "outside", size: "outside", 20: "not aligned to 8", math.MaxUint32 - 7: "outside", 1<<32 | 16: "",
	} {
		s := newSide(size, binary.UTF8)
		s.flat = values(at)
		for name, f := range map[string]func(){
			"lift":  func() { s.Lift(ty, true) },
			"lower": func() { s.LowerAt(ty, uint32(at)) },
		} {
			err := caught(f)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s at %d: the trap is %v, want %q", name, at, err, want)
			}
		}
	}
}

func TestBuffers(t *testing.T) {
	for _, test := range []struct {
		at, n uint32
		want  string
	}{
		{size - 8, 1, ""},
		{size - 8, 2, "outside"},
		{math.MaxUint32, 0, ""},
		{4, 1, "not aligned to 8"},
		{8, 1 << 28, "268435456 elements or more"},
		{8, 1<<28 - 1, "outside"},
	} {
		s := newSide(size, binary.UTF8)
		for name, f := range map[string]func(){
			"read": func() {
				values := s.LiftBuffer(u64, test.at, test.n)
				canon.CopyAll(s.LowerBuffer(u64, 8, test.n), values)
			},
			"write": func() {
				places := s.LowerBuffer(u64, test.at, test.n)
				canon.CopyAll(places, s.LiftBuffer(u64, 8, test.n))
			},
			"bytes": func() {
				s.LiftBuffer(u64, test.at, test.n).Bytes()
				s.LowerBuffer(u64, test.at, test.n).Bytes()
			},
		} {
			err := caught(f)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s of %d at %d: the trap is %v, want %q", name, test.n, test.at, err, test.want)
			}
		}
	}
}

// TestLyingAllocators: an allocator can return anything.
func TestLyingAllocators(t *testing.T) {
	strs := list(types.Prim(types.String))
	for name, test := range map[string]struct {
		lie  func(g *canontest.Guest, call canontest.Realloc, at uint32) uint32
		want string
	}{
		"past the end": {func(g *canontest.Guest, call canontest.Realloc, _ uint32) uint32 {
			return (uint32(len(g.Mem)) - call.Size + call.Align) &^ (call.Align - 1)
		}, "outside"},
		"not aligned":     {func(_ *canontest.Guest, _ canontest.Realloc, at uint32) uint32 { return at + 1 }, "not aligned to 4"},
		"the largest":     {func(*canontest.Guest, canontest.Realloc, uint32) uint32 { return math.MaxUint32 &^ 7 }, "outside"},
		"always the same": {func(*canontest.Guest, canontest.Realloc, uint32) uint32 { return 16 }, ""},
		"zero":            {func(*canontest.Guest, canontest.Realloc, uint32) uint32 { return 0 }, ""},
		"the memory moves": {func(g *canontest.Guest, _ canontest.Realloc, at uint32) uint32 {
			old := g.Mem
			g.Mem = append(append([]byte(nil), old...), 0)
			clear(old)
			return at
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, encoding := range encodings {
				from, to := newSide(size, binary.UTF8), newSide(size, encoding)
				canontest.Lower(from.Lower(strs, false), []any{"é", "", "日本語", "abc"})
				to.Lie = func(call canontest.Realloc, at uint32) uint32 { return test.lie(to.Guest, call, at) }
				err := caught(func() { canon.Copy(to.Lower(strs, false), from.Lift(strs, false)) })
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("encoding %d: the trap is %v, want %q", encoding, err, test.want)
				}
				if name == "the memory moves" {
					if got := canontest.Lift(to.Lift(strs, false)); len(got.([]any)) != 4 || got.([]any)[2] != "日本語" {
						t.Errorf("encoding %d: got %q", encoding, got)
					}
				}
				err = caught(func() { canontest.Lower(to.Lower(strs, false), []any{"é", "日本語"}) })
				if (err == nil) != (test.want == "") {
					t.Errorf("encoding %d, from the host: the trap is %v", encoding, err)
				}
			}
		})
	}
}

// TestLongWorkIsPolled: what takes long looks whether the guest has to end, and ends with it.
func TestLongWorkIsPolled(t *testing.T) {
	octets, str := list(types.Prim(types.U8)), types.Prim(types.String)
	const large = 4 << 20
	for name, test := range map[string]struct {
		t        *types.Type
		from, to binary.Encoding
		flat     []uint64
		fill     byte
		polls    int
	}{
		"bytes":            {octets, binary.UTF8, binary.UTF8, []uint64{16, large}, 0, 4},
		"bools":            {list(types.Prim(types.Bool)), binary.UTF8, binary.UTF8, []uint64{16, large}, 0, 4 * 16},
		"UTF-8":            {str, binary.UTF8, binary.UTF8, []uint64{16, large}, 'a', 7},
		"UTF-8 to UTF-16":  {str, binary.UTF8, binary.UTF16, []uint64{16, large}, 'a', 7},
		"Latin-1 to UTF-8": {str, binary.Latin1UTF16, binary.UTF8, []uint64{16, large}, 0xe9, 4},
		"UTF-16 that is Latin-1": {str, binary.Latin1UTF16, binary.Latin1UTF16,
			[]uint64{16, 1<<31 | large/2}, 0, 7},
		// Each element takes no memory that it does not share with the others.
		"lists in a list": {list(octets), binary.UTF8, binary.UTF8, []uint64{16, large / 8}, 0, 8},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := newSide(large+64, test.from), newSide(4*large, test.to)
			copy(from.Mem, bytes.Repeat([]byte{test.fill}, len(from.Mem)))
			from.flat = values(test.flat...)
			polls := 0
			to.OnPoll = func() { polls++ }
			from.OnPoll = to.OnPoll
			if err := caught(func() { canon.Copy(to.Lower(test.t, false), from.Lift(test.t, false)) }); err != nil {
				t.Fatal(err)
			}
			if polls < test.polls || polls > 4*test.polls {
				t.Errorf("%d polls, want about %d", polls, test.polls)
			}
			to.Next, polls = 16, 0
			to.again()
			to.OnPoll = func() {
				if polls++; polls == 3 {
					canon.Trapf("the guest was ended")
				}
			}
			from.OnPoll = to.OnPoll
			if err := caught(func() { canon.Copy(to.Lower(test.t, false), from.Lift(test.t, false)) }); err == nil || polls != 3 {
				t.Errorf("it went on after %d polls: %v", polls, err)
			}
		})
	}
}

// TestWorkIsBounded: an allocator that returns the same memory again and again cannot make a call
// last for hours, and arguments cannot fill the host's memory.
func TestWorkIsBounded(t *testing.T) {
	octets := list(types.Prim(types.U8))
	from, to := newSide(size, binary.UTF8), newSide(size, binary.UTF8)
	from.flat = values(16, 1<<12)
	to.SetMoved(canon.MaxMoved - 100)
	err := caught(func() { canon.Copy(to.Lower(octets, false), from.Lift(octets, false)) })
	if err == nil || !strings.Contains(err.Error(), "too much in one call") {
		t.Errorf("the trap is %v", err)
	}
	// 8,000 strings of 32,512 bytes, which are the same bytes.
	strs := list(types.Prim(types.String))
	for i := 16; i < size; i += 8 {
		copy(from.Mem[i:], "\x10\x00\x00\x00\x00\x7f\x00\x00")
	}
	from.flat = values(16, 8000)
	from.again()
	err = caught(func() { canontest.Lift(from.Lift(strs, false)) })
	if err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Errorf("the trap is %v", err)
	}
	many := newSide(canon.MaxLifted, binary.UTF8)
	many.flat = values(16, canon.MaxLifted-16)
	err = caught(func() { many.Lift(list(types.Prim(types.Bool)), false).List().Reserve(1) })
	if err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Errorf("the trap is %v", err)
	}
}

// TestLargestLists: the specification bounds a string and a list by their bytes, in a memory that
// has more.
func TestLargestLists(t *testing.T) {
	s := newSide(1<<28+64, binary.UTF8) // untouched, so it takes nothing
	for name, ty := range map[string]*types.Type{"string": types.Prim(types.String), "list": list(types.Prim(types.U64))} {
		s.flat = values(16, 1<<28)
		if name == "list" {
			s.flat = values(16, 1<<25)
		}
		err := caught(func() { canon.Copy(s.Lower(ty, false), s.Lift(ty, false)) })
		if err == nil || !strings.Contains(err.Error(), "268435456 bytes or more") {
			t.Errorf("%s: the trap is %v", name, err)
		}
	}
}
