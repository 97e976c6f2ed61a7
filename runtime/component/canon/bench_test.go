package canon_test

import (
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

var sink uint64

// BenchmarkCall measures stubs: what a host call costs beside the engine.
func BenchmarkCall(b *testing.B) {
	scalars := types.NewFunc(types.Func{
		Params: []types.Param{{Label: "a", Type: u64}, {Label: "b", Type: s32}}, Result: u64,
	})
	takesText := types.NewFunc(types.Func{Params: []types.Param{{Label: "a", Type: text}}})
	takesBytes := types.NewFunc(types.Func{Params: []types.Param{{Label: "a", Type: list(u8)}}})
	givesBytes := types.NewFunc(types.Func{Result: list(u8)})
	data := make([]byte, 64<<10)
	for _, bench := range []struct {
		name   string
		fn     *types.Func
		params []uint64
		bytes  int64
		allocs float64
		stub   canon.Stub
	}{
		{"scalars", scalars, []uint64{7, 8}, 0, 0, func(c *canon.Call) {
			n := c.Arg(0).U64() + uint64(c.Arg(1).S32())
			c.Result().U64(n)
		}},
		{"string-32", takesText, []uint64{64, 32}, 0, 1, func(c *canon.Call) { sink += uint64(len(c.Arg(0).String())) }},
		{"bytes-64K-in", takesBytes, []uint64{64, 64 << 10}, 64 << 10, 0, func(c *canon.Call) { sink += uint64(len(c.Arg(0).Bytes())) }},
		{"bytes-64K-out", givesBytes, []uint64{64}, 64 << 10, 0, func(c *canon.Call) { c.Result().Bytes(data) }},
		{"arguments", getArgumentsType, []uint64{64}, 0, 1, getArgumentsStub},
	} {
		b.Run(bench.name, func(b *testing.B) {
			g := canontest.NewGuest(256<<10, binary.UTF8)
			g.Reallocs = make([]canontest.Realloc, 0, 8)
			signature := bench.fn.Lowered(false)
			var c canon.Call
			c.Host = program{}
			var flat [plan.MaxValues]plan.Value
			once := func() {
				for i, n := range bench.params {
					flat[i].Bits = n
				}
				g.Next, g.Reallocs = 80<<10, g.Reallocs[:0]
				c.Begin(g, g.Mem, flat[:], bench.fn, &signature)
				bench.stub(&c)
			}
			if n := testing.AllocsPerRun(100, once); n > bench.allocs {
				b.Errorf("%v allocations, want %v", n, bench.allocs)
			}
			b.SetBytes(bench.bytes)
			for b.Loop() {
				once()
			}
		})
	}
}

// BenchmarkCopy measures values that go from one component to another.
func BenchmarkCopy(b *testing.B) {
	record := types.New(types.Type{Kind: types.Record, Labels: []string{"a", "b"}, Elems: []*types.Type{u8, u64}})
	pairs := []any{}
	for range 1024 {
		pairs = append(pairs, []any{uint8(1), uint64(2)})
	}
	for _, bench := range []struct {
		name     string
		t        *types.Type
		value    any
		to       binary.Encoding
		bytes    int64
		elements int
	}{
		{"scalars", tuple(u64, s32, flag), []any{uint64(1), int32(2), true}, binary.UTF8, 0, 0},
		{"string-32", text, strings.Repeat("abcd", 8), binary.UTF8, 0, 0},
		{"string-64K", text, strings.Repeat("abcd", 16<<10), binary.UTF8, 64 << 10, 0},
		{"string-64K-to-UTF-16", text, strings.Repeat("abcd", 16<<10), binary.UTF16, 64 << 10, 0},
		{"u64-8K", list(u64), make64(8 << 10), binary.UTF8, 64 << 10, 0},
		{"records-1K", list(record), pairs, binary.UTF8, 16 << 10, 1024},
	} {
		b.Run(bench.name, func(b *testing.B) {
			from, to := newSide(1<<20, binary.UTF8), newSide(1<<20, bench.to)
			canontest.Lower(from.Lower(bench.t, false), bench.value)
			to.Reallocs = make([]canontest.Realloc, 0, 8)
			once := func() {
				to.Next, to.Reallocs = 16, to.Reallocs[:0]
				to.again()
				from.again()
				canon.Copy(to.Lower(bench.t, false), from.Lift(bench.t, false))
			}
			if n := testing.AllocsPerRun(10, once); n > 0 {
				b.Errorf("%v allocations", n)
			}
			b.SetBytes(bench.bytes)
			for b.Loop() {
				once()
			}
		})
	}
}

func make64(n int) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = uint64(i)
	}
	return all
}
