package canon_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

var encodings = []binary.Encoding{binary.UTF8, binary.UTF16, binary.Latin1UTF16}

// sideOf is a guest with a frame and core values.
type sideOf struct {
	*canontest.Guest
	canon.Frame
	flat [plan.MaxValues]plan.Value
}

func newSide(size int, encoding binary.Encoding) *sideOf {
	s := &sideOf{Guest: canontest.NewGuest(size, encoding)}
	s.Guest.Begin(&s.Frame, s.flat[:])
	return s
}

// again begins another call with the core values that are there.
func (s *sideOf) again() { s.Guest.Begin(&s.Frame, s.flat[:]) }

// TestRandomValuesSurvive: any value of any type is the same after it went to a guest, to another
// one with another encoding, and back, in core values and in memory.
func TestRandomValuesSurvive(t *testing.T) {
	r := canontest.Random{Rand: rand.New(rand.NewPCG(1, 2)), Resources: []*types.Resource{{Name: "r"}}}
	for n := range 1000 {
		ty := r.Type(4)
		value := r.Value(ty)
		from, to := newSide(1<<17, encodings[r.IntN(3)]), newSide(1<<17, encodings[r.IntN(3)])
		fromMemory, toMemory := ty.Flat == nil || r.IntN(2) == 0, ty.Flat == nil || r.IntN(2) == 0
		canontest.Lower(from.Lower(ty, fromMemory), value)
		from.again()
		canon.Copy(to.Lower(ty, toMemory), from.Lift(ty, fromMemory))
		to.again()
		got := canontest.Lift(to.Lift(ty, toMemory))
		if a, b := fmt.Sprintf("%#v", value), fmt.Sprintf("%#v", got); a != b {
			t.Fatalf("case %d: gave %s, got %s", n, a, b)
		}
	}
}

var texts = []string{
	"", "a", "hello, world", "naïve", "ÿ", "Ā", "aĀ", "éĀé", "日本語", "a日", "🙂", "a🙂b", "é🙂", "�", "\x00",
	"plain ascii that is a little longer than a few words, é", "\u0080\u07ff\u0800\uffff\U00010000\U0010ffff",
}

// TestStringPairs: strings go from any encoding into any.
func TestStringPairs(t *testing.T) {
	ty := types.Prim(types.String)
	for _, a := range encodings {
		for _, b := range encodings {
			for _, s := range texts {
				from, to := newSide(4096, a), newSide(4096, b)
				from.Lower(ty, false).String(s)
				canon.Copy(to.Lower(ty, false), from.Lift(ty, false))
				if got := to.Lift(ty, false).String(); got != s {
					t.Errorf("from %d to %d: %q became %q", a, b, s, got)
				}
			}
		}
	}
}

func TestHandlesWithinOneInstance(t *testing.T) {
	resource := &types.Resource{Name: "r"}
	own := types.New(types.Type{Kind: types.Own, Resource: resource})
	ty := types.New(types.Type{Kind: types.Tuple, Elems: []*types.Type{own, own}})
	from := newSide(4096, binary.UTF8)
	to := &sideOf{Guest: from.Guest}
	to.again()
	canontest.Lower(from.Lower(ty, false), []any{canon.Handle{Rep: 7}, canon.Handle{Rep: 8}})
	canon.CopyWithin(to.Lower(ty, false), from.Lift(ty, false))
	// Index 2 was freed last.
	if to.flat[0].Bits != 2 || to.flat[1].Bits != 1 {
		t.Errorf("the handles are %d and %d", to.flat[0].Bits, to.flat[1].Bits)
	}
	got := canontest.Lift(to.Lift(ty, false))
	if !reflect.DeepEqual(got, []any{canon.Handle{Rep: 7}, canon.Handle{Rep: 8}}) {
		t.Errorf("got %v", got)
	}
}

// TestLongStrings: they are checked and copied in parts, none of which cuts a character.
func TestLongStrings(t *testing.T) {
	for _, part := range []string{"日", "🙂"} {
		for _, before := range []string{"", "a"} {
			s := before + strings.Repeat(part, (5<<18)/len(part))
			from, to, last := newSide(4<<20, binary.UTF8), newSide(8<<20, binary.UTF16), newSide(4<<20, binary.UTF16)
			from.Lower(text, false).String(s)
			canon.Copy(to.Lower(text, false), from.Lift(text, false))
			canon.Copy(last.Lower(text, false), to.Lift(text, false))
			if got := last.Lift(text, false).String(); got != s {
				t.Errorf("a string of %q after %q became another", part, before)
			}
			from.flat[1].Bits--
			if err := caught(func() { canontest.Lift(from.Lift(text, false)) }); err == nil {
				t.Errorf("a string of %q after %q is cut: no trap", part, before)
			}
		}
	}
}
