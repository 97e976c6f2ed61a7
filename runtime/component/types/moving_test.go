package types

import (
	"slices"
	"testing"
)

// TestHowValuesMove: what package canon reads of a type.
func TestHowValuesMove(t *testing.T) {
	u8, u32, text := Prim(U8), Prim(U32), Prim(String)
	flags := func(n int) *Type { return New(Type{Kind: Flags, Labels: slices.Repeat([]string{"a"}, n)}) }
	tuple := func(all ...*Type) *Type { return New(Type{Kind: Tuple, Elems: all}) }
	own := New(Type{Kind: Own, Resource: &Resource{}})
	for name, test := range map[string]struct {
		t              *Type
		slots          []uint32
		plain, handles bool
	}{
		"fields side by side":    {tuple(u32, u8, u8, Prim(U16)), []uint32{0, 1, 2, 3}, true, false},
		"bytes between fields":   {tuple(u8, u32), []uint32{0, 1}, false, false},
		"bytes after fields":     {tuple(u32, u8), []uint32{0, 1}, false, false},
		"a string takes two":     {tuple(text, u8, text, u8), []uint32{0, 2, 3, 5}, false, false},
		"a bool is not plain":    {tuple(Prim(Bool)), []uint32{0}, false, false},
		"flags with spare bits":  {flags(7), nil, false, false},
		"flags without":          {flags(8), nil, true, false},
		"flags without, of four": {flags(32), nil, true, false},
		"a list of plain ones":   {New(Type{Kind: List, Elems: []*Type{u8}}), nil, false, false},
		"a fixed list of them":   {New(Type{Kind: FixedList, Length: 3, Elems: []*Type{tuple(u8, u8)}}), nil, true, false},
		"an error context":       {Prim(ErrorContext), nil, false, true},
		"a handle far within":    {New(Type{Kind: List, Elems: []*Type{tuple(u8, New(Type{Kind: Option, Elems: []*Type{nil, own}}))}}), nil, false, true},
		"a stream of bytes":      {New(Type{Kind: Stream, Elems: []*Type{u8}}), nil, false, true},
	} {
		if !slices.Equal(test.t.Slots, test.slots) || test.t.Plain != test.plain || test.t.Handles != test.handles {
			t.Errorf("%s: slots %v, plain %v, handles %v", name, test.t.Slots, test.t.Plain, test.t.Handles)
		}
	}
}
