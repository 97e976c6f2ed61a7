package canon_test

import (
	"bytes"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// TestStringsForTheHostArePolled: strings that the host takes look whether the guest has to end,
// while one is decoded, and between many small ones.
func TestStringsForTheHostArePolled(t *testing.T) {
	const large = 8 << 20
	texts := list(types.Prim(types.String))
	for _, test := range []struct {
		name  string
		t     *types.Type
		from  binary.Encoding
		units uint64
		lift  func(canon.Value)
		polls int
	}{
		{"Latin-1", types.Prim(types.String), binary.Latin1UTF16, large, func(v canon.Value) { _ = v.String() }, 2 * large >> 20},
		{"UTF-16", types.Prim(types.String), binary.UTF16, large / 2, func(v canon.Value) { _ = v.String() }, 2 * large >> 20},
		{"empty ones", texts, binary.UTF8, large / 8, func(v canon.Value) {
			l := v.List()
			for i := range l.Len() {
				_ = l.At(i).String()
			}
		}, 2 * large >> 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := newSide(large+64, test.from)
			if test.t != texts {
				copy(from.Mem, bytes.Repeat([]byte{'a', 0}, len(from.Mem)/2))
			}
			from.flat = values(16, test.units)
			polls := 0
			from.OnPoll = func() { polls++ }
			from.again()
			if err := caught(func() { test.lift(from.Lift(test.t, false)) }); err != nil {
				t.Fatal(err)
			}
			if polls < test.polls-4 || polls > test.polls+4 {
				t.Errorf("%d polls, want about %d", polls, test.polls)
			}
		})
	}
}

// TestStart: the beginning of a string ends between two characters.
func TestStart(t *testing.T) {
	for _, test := range []struct {
		mem  string
		from binary.Encoding
		most int
		want string
	}{
		{"aé€", binary.UTF8, 6, "aé€"},
		{"aé€", binary.UTF8, 5, "aé"},
		{"aé€", binary.UTF8, 2, "a"},
		{"a\x00\xac\x20", binary.UTF16, 4, "a€"},
		{"a\x00\xac\x20", binary.UTF16, 3, "a"},
		{"", binary.UTF8, 3, ""},
	} {
		from := newSide(64, test.from)
		copy(from.Mem[16:], test.mem)
		units := len(test.mem)
		if test.from == binary.UTF16 {
			units /= 2
		}
		from.flat = values(16, uint64(units))
		from.again()
		var got string
		if err := caught(func() { got = from.Lift(types.Prim(types.String), false).Start(test.most) }); err != nil || got != test.want {
			t.Errorf("%d bytes of %q are %q, %v, want %q", test.most, test.mem, got, err, test.want)
		}
	}
}
