package main

import (
	"encoding/binary"
	"unicode/utf16"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	encodings "github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// plant gives the source a random value. Strings are written here, not by what is tested: to
// package canon they are two numbers each.
func (c *comparison) plant(inMemory bool) {
	for range c.IntN(3) {
		// So that indices are not those of the first handles.
		c.from.Add(canontest.Entry{Kind: types.ErrorContext, Handle: canon.Handle{Rep: 99}})
	}
	var f canon.Frame
	c.from.Begin(&f, c.flat[:])
	// Where memory is full, what is there is as good as anything else.
	_ = caught(func() { canontest.Lower(f.Lower(shadow(c.t), inMemory), c.shadowValue(c.t, c.Value(c.t))) })
	c.from.Reallocs = nil
}

var pair = types.New(types.Type{Kind: types.Tuple, Elems: []*types.Type{types.Prim(types.U32), types.Prim(types.U32)}})

// shadow returns a type that has two numbers in place of each string.
func shadow(t *types.Type) *types.Type {
	switch {
	case t == nil || t.Kind == types.Stream || t.Kind == types.Future:
		return t
	case t.Kind == types.String:
		return pair
	case len(t.Elems) == 0:
		return t
	}
	s := types.Type{Kind: t.Kind, Labels: t.Labels, Length: t.Length}
	for _, e := range t.Elems {
		s.Elems = append(s.Elems, shadow(e))
	}
	return types.New(s)
}

func (c *comparison) shadowValue(t *types.Type, value any) any {
	switch v := value.(type) {
	case string:
		return c.plantString(v)
	case canontest.Case:
		if e := t.Case(v.N); e != nil {
			return canontest.Case{N: v.N, Value: c.shadowValue(e, v.Value)}
		}
	case []any:
		all := make([]any, len(v))
		for i, x := range v {
			e := t.Elems[0]
			if t.Kind == types.Record || t.Kind == types.Tuple {
				e = t.Elems[i]
			}
			all[i] = c.shadowValue(e, x)
		}
		return all
	}
	return value
}

// plantString writes a string and returns its address and length.
func (c *comparison) plantString(s string) []any {
	var b []byte
	var n uint32
	switch c.from.Strings {
	case encodings.UTF8:
		b, n = []byte(s), uint32(len(s))
	case encodings.Latin1UTF16:
		wide := c.IntN(3) == 0
		for _, r := range s {
			wide = wide || r > 0xff
			b, n = append(b, byte(r)), n+1
		}
		if !wide {
			break
		}
		b, n = inUTF16(s)
		n |= 1 << 31
	default:
		b, n = inUTF16(s)
	}
	at := c.from.Realloc(0, 0, 2, uint32(len(b)))
	copy(c.from.Mem[at:], b)
	return []any{at, n}
}

func inUTF16(s string) (b []byte, n uint32) {
	for _, u := range utf16.Encode([]rune(s)) {
		b, n = binary.LittleEndian.AppendUint16(b, u), n+1
	}
	return b, n
}
