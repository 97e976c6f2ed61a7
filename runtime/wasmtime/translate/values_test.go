package translate

import (
	"errors"
	"strings"
	"testing"
)

// wideBlocks are nested blocks, each with this number of results: bitpack of the attack.
func wideBlocks(blocks, results int) []byte {
	types := vec(b(0x60, 0, 0), b(0x60, 0, u(results), repeat(results, 0x7e)))
	inner := b(0, opBlock, typeEmpty, opI32Const, 60, 0x28, 2, 0, 0x45, opBrIf, 0, repeat(blocks, opBlock, 1), opUnreachable,
		repeat(blocks, opEnd), opUnreachable, opEnd, opEnd)
	return wasm(sec(sectionType, types), sec(sectionFunction, vec(u(0))), sec(sectionMemory, vec(b(0, 2))), sec(sectionCode, vec(b(u(len(inner)), inner))))
}

// joins is a function whose locals are read after this number of joins of branches: joins.py of the
// attack.
func joins(locals, joins int) []byte {
	f := b(1, u(locals), 0x7e)
	for range joins {
		f = append(f, opBlock, typeEmpty, opI32Const, 0, opBrIf, 0, opEnd)
	}
	for i := range locals {
		f = append(append(append(f, opLocalGet), u(i)...), 0x1a)
	}
	return funcs(append(f, opEnd))
}

// TestValuesAreBounded: a module is refused if the compiler would make more values for it than it
// can number.
func TestValuesAreBounded(t *testing.T) {
	const values = "values for the compiler"
	for name, module := range map[string][]byte{
		"results of blocks":           wideBlocks(16_776, 1_000),
		"live locals where joined":    joins(1_000, 14_000),
		"more of those":               joins(1_000, 16_777),
		"locals at the end of loops":  loops(2_000, 3_000),
		"instructions":                funcs(b(0, repeat(1_100_000, opI32Const, 0, 0x67, 0x67, 0x1a), opEnd)),
		"targets with what they take": wideTable(1_000, 900),
		"results of calls":            wideCalls(1_000, 5_000),
		"catches":                     catches(1_500, 3_000),
	} {
		_, err := Module(module, Finished, Limits{Catches: 10_000})
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Function != 0 {
			t.Errorf("%s (%d bytes): %v", name, len(module), err)
			continue
		}
		if name != "targets with what they take" && !strings.HasPrefix(limit.What, values) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// These modules are as large but harmless: no local is read after the joins, or it is written
	// first.
	for name, module := range map[string][]byte{
		"nothing is read later": funcs(b(b(1, u(1000), 0x7e), repeat(14_000, opBlock, typeEmpty, opI32Const, 0, opBrIf, 0, opEnd), opEnd)),
		"few joins":             joins(1_000, 2_000),
		"few locals":            joins(20, 60_000),
	} {
		if _, err := Module(module, Finished, Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// loops is a sequence of loops that each read a local. After them all locals are read.
func loops(locals, n int) []byte {
	f := b(1, u(locals), 0x7e, repeat(n, opLoop, typeEmpty, opI32Const, 0, opBrIf, 0, opEnd))
	for i := range locals {
		f = append(append(append(f, opLocalGet), u(i)...), 0x1a)
	}
	return funcs(append(f, opEnd))
}

// wideTable has br_tables to a block with many results.
func wideTable(results, targets int) []byte {
	types := vec(b(0x60, 0, 0), b(0x60, 0, u(results), repeat(results, 0x7e)), b(0x60, u(results), repeat(results, 0x7e), 0))
	var f []byte
	f = b(0, opBlock, 1)
	for range 20 {
		f = append(f, b(opBlock, typeEmpty, opI32Const, 0, opBrIf, 0, repeat(results, 0x42, 0), opI32Const, 0, opBrTable, u(targets), repeat(targets+1, 1), opEnd)...)
	}
	f = b(f, opUnreachable, opEnd, opUnreachable, opEnd)
	return wasm(sec(sectionType, types), sec(sectionFunction, vec(u(0))), sec(sectionCode, vec(b(u(len(f)), f))))
}

// wideCalls has calls of a function with many results.
func wideCalls(results, calls int) []byte {
	types := vec(b(0x60, 0, 0), b(0x60, 0, u(results), repeat(results, 0x7e)))
	f := b(0, repeat(calls, opCall, 1), opUnreachable, opEnd)
	g := b(0, opUnreachable, opEnd)
	return wasm(sec(sectionType, types), sec(sectionFunction, vec(u(0), u(1))), sec(sectionCode, vec(b(u(len(f)), f), b(u(len(g)), g))))
}

// catches is a try_table with many catches and with live locals.
func catches(locals, n int) []byte {
	f := b(1, u(locals), 0x7e, opBlock, typeEmpty, opTryTable, typeEmpty, u(n), repeat(n, 2, 0), opCall, 0, opEnd, opEnd)
	for i := range locals {
		f = append(append(append(f, opLocalGet), u(i)...), 0x1a)
	}
	return funcs(append(f, opEnd))
}

// TestValuesAtTheBound: a function that reaches the bound is accepted, and a bound that is lower by
// one refuses it.
func TestValuesAtTheBound(t *testing.T) {
	for name, module := range map[string][]byte{"joins": joins(300, 400), "blocks": wideBlocks(40, 300), "loops": loops(100, 200)} {
		low, high := uint64(1), uint64(1)<<30
		for low < high {
			middle := (low + high) / 2
			if _, err := Module(module, Finished, Limits{Values: middle}); err != nil {
				low = middle + 1
			} else {
				high = middle
			}
		}
		limited(t, module, Limits{Values: low - 1}, "values for the compiler", low, low-1)
		t.Log(name, low)
	}
}

// TestLiveLocals: at a join of branches, a local counts if it is read later and not written before
// that.
func TestLiveLocals(t *testing.T) {
	join := []byte{opBlock, typeEmpty, opI32Const, 0, opBrIf, 0, opEnd}
	read, write := []byte{opLocalGet, 0, 0x1a}, []byte{opI32Const, 0, 0x21, 0}
	loop := func(inside ...any) []byte {
		return b(opLoop, typeEmpty, b(inside...), opI32Const, 0, opBrIf, 0, opEnd)
	}
	for name, c := range map[string]struct {
		code []byte
		live int // number of joins at which the local is live
	}{
		"read":                 {b(join, read), 2},
		"written first":        {b(join, write, read), 0},
		"written between":      {b(join, write, join, read), 1},
		"never read":           {b(write, join, write), 0},
		"unreachable":          {b(join, opReturn, read), 0},
		"if without else":      {b(opI32Const, 0, opIf, typeEmpty, write, opEnd, read), 2},
		"if with else":         {b(opI32Const, 0, opIf, typeEmpty, write, opElse, read, opEnd), 1},
		"both arms write":      {b(join, opI32Const, 0, opIf, typeEmpty, write, opElse, write, opEnd, read), 1},
		"the arm that reads":   {b(join, opI32Const, 0, opIf, typeEmpty, opElse, read, opEnd), 2},
		"read in a loop":       {b(loop(read)), 3},
		"read at a loop's end": {b(loop(join, read)), 4},
		"around a loop":        {b(loop(read, join)), 4},
		"written in a loop":    {b(loop(write, join, read)), 1},
		"around two loops":     {b(loop(read, loop(join))), 6},
		"loop in loop in loop": {b(loop(loop(loop(join), read))), 8},
		"a branch over":        {b(opBlock, typeEmpty, opI32Const, 0, opBrIf, 0, write, opEnd, read), 2},
		"a table":              {b(opBlock, typeEmpty, opBlock, typeEmpty, opI32Const, 0, opBrTable, 1, 0, 1, opEnd, read, opEnd), 1},
	} {
		s := scan{m: &module{limits: Limits{}.filled(), functions: []uint32{0}, types: []typeInfo{{}}, memories: []Memory{{}}}}
		f := b(1, 1, typeI32, c.code, opEnd)
		r := &reader{b: f, on: Finished}
		s.body(r, &s.m.types[0])
		v := &s.live
		v.begin(1, len(s.flow.labels))
		for v.stable = false; !v.stable; {
			v.values, v.arguments, v.enough = 0, 0, 1<<40
			v.pass(&s.flow)
		}
		if live := int(v.values - engineLocals*joinsOf(&s.flow)); live != c.live {
			t.Errorf("%s: live at %d places, want %d", name, live, c.live)
		}
	}
}

// joinsOf counts the joins of branches.
func joinsOf(f *flow) (n uint64) {
	n = 1
	for _, e := range f.events {
		switch e.kind() {
		case eventClose:
			if f.labels[e.arg()].preds > 1 {
				n++
			}
		case eventLoop:
			n += loopJoins
		case eventJoins:
			n += uint64(e.arg())
		}
	}
	return n
}

// TestManyLocalsAndBlocks: the work of computing live locals is bounded for all functions together.
func TestManyLocalsAndBlocks(t *testing.T) {
	f := b(1, u(50_000), 0x7e)
	for i := range 50_000 {
		f = append(append(append(f, opLocalGet), u(i)...), 0x1a)
	}
	f = append(f, repeat(60_000, opBlock, typeEmpty, opI32Const, 0, opBrIf, 0, opEnd)...)
	f = append(f, opEnd)
	var all [][]byte
	for range 20 {
		all = append(all, f)
	}
	limited(t, funcs(all...), Limits{}, "steps of counting which locals are live", 0, maxLiveWork)
}
