package canontest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Random makes random types and values.
type Random struct {
	*rand.Rand
	// Resources are what handles are of. Without any there are no handles.
	Resources []*types.Resource
}

// Type returns a random type, nested up to a depth.
func (r Random) Type(depth int) *types.Type {
	if depth <= 1 || r.IntN(3) == 0 {
		return r.leaf()
	}
	elem := func() *types.Type { return r.Type(depth - 1) }
	some := func(n int) []*types.Type {
		all := make([]*types.Type, 1+r.IntN(n))
		for i := range all {
			all[i] = elem()
		}
		return all
	}
	maybe := func() *types.Type {
		if r.IntN(3) == 0 {
			return nil
		}
		return elem()
	}
	switch r.IntN(9) {
	case 0, 1:
		return types.New(types.Type{Kind: types.List, Elems: []*types.Type{elem()}})
	case 2:
		return types.New(types.Type{Kind: types.FixedList, Elems: []*types.Type{elem()}, Length: 1 + r.Uint32N(5)})
	case 3:
		all := some(5)
		return types.New(types.Type{Kind: types.Record, Elems: all, Labels: labels(len(all))})
	case 4:
		return types.New(types.Type{Kind: types.Tuple, Elems: some(4)})
	case 5:
		all := some(5)
		for i := range all {
			if r.IntN(4) == 0 {
				all[i] = nil
			}
		}
		return types.New(types.Type{Kind: types.Variant, Elems: all, Labels: labels(len(all))})
	case 6:
		return types.New(types.Type{Kind: types.Option, Elems: []*types.Type{nil, elem()}})
	case 7:
		return types.New(types.Type{Kind: types.Result, Elems: []*types.Type{maybe(), maybe()}})
	}
	key := types.Prim([]types.Kind{types.Bool, types.U8, types.S32, types.U64, types.Char, types.String}[r.IntN(6)])
	pair := types.New(types.Type{Kind: types.Tuple, Elems: []*types.Type{key, elem()}})
	return types.New(types.Type{Kind: types.Map, Elems: []*types.Type{pair}})
}

func labels(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("l%d", i)
	}
	return all
}

func (r Random) leaf() *types.Type {
	switch n := r.IntN(20); {
	case n == 0:
		return types.New(types.Type{Kind: types.Flags, Labels: labels(1 + r.IntN(32))})
	case n == 1:
		return types.New(types.Type{Kind: types.Enum, Labels: labels([]int{1, 2, 3, 255, 256, 257}[r.IntN(6)])})
	case n < 7:
		return types.Prim(types.String)
	case n < 10 && len(r.Resources) > 0:
		return r.handle()
	}
	return types.Prim(types.Kind(r.IntN(int(types.String))))
}

func (r Random) handle() *types.Type {
	resource := r.Resources[r.IntN(len(r.Resources))]
	switch r.IntN(5) {
	case 0, 1:
		return types.New(types.Type{Kind: types.Own, Resource: resource})
	case 2:
		return types.New(types.Type{Kind: types.Borrow, Resource: resource})
	case 3:
		return types.Prim(types.ErrorContext)
	}
	kind := []types.Kind{types.Stream, types.Future}[r.IntN(2)]
	elem := []*types.Type{nil, types.Prim(types.U8), types.Prim(types.U64)}[r.IntN(3)]
	return types.New(types.Type{Kind: kind, Elems: []*types.Type{elem}})
}

// String returns a random string: of ASCII, of Latin-1, or of anything.
func (r Random) String() string {
	var s []rune
	limit := []rune{0x80, 0x100, 0x800, 0x10000, 0x110000}[r.IntN(5)]
	for range r.IntN(12) {
		c := r.Int32N(limit)
		if r.IntN(2) == 0 {
			c = 'a' + c%26
		}
		if c >= 0xd800 && c < 0xe000 {
			c = 0x1f600
		}
		s = append(s, c)
	}
	return string(s)
}

// Value returns a random value. Handles stand for new things.
func (r Random) Value(t *types.Type) any {
	switch t.Kind {
	case types.List, types.Map:
		all := make([]any, r.IntN(5))
		for i := range all {
			all[i] = r.Value(t.Elems[0])
		}
		return all
	case types.FixedList:
		all := make([]any, t.Length)
		for i := range all {
			all[i] = r.Value(t.Elems[0])
		}
		return all
	case types.Record, types.Tuple:
		all := make([]any, len(t.Elems))
		for i, e := range t.Elems {
			all[i] = r.Value(e)
		}
		return all
	case types.Variant, types.Enum, types.Option, types.Result:
		c := Case{N: r.IntN(t.Cases())}
		if e := t.Case(c.N); e != nil {
			c.Value = r.Value(e)
		}
		return c
	case types.Flags:
		return Flags(uint32(r.Uint64N(1 << len(t.Labels))))
	case types.String:
		return r.String()
	}
	return r.scalar(t)
}

func (r Random) scalar(t *types.Type) any {
	n := r.Uint64()
	if r.IntN(2) == 0 {
		n %= 3
	}
	switch t.Kind {
	case types.Bool:
		return n&1 != 0
	case types.S8:
		return int8(n)
	case types.U8:
		return uint8(n)
	case types.S16:
		return int16(n)
	case types.U16:
		return uint16(n)
	case types.S32:
		return int32(n)
	case types.U32:
		return uint32(n)
	case types.S64:
		return int64(n)
	case types.U64:
		return n
	case types.F32:
		return math.Float32frombits(uint32(n))
	case types.F64:
		return math.Float64frombits(n)
	case types.Char:
		return Char(n % 0xd800)
	}
	return canon.Handle{Rep: uint32(n % 1000)}
}
