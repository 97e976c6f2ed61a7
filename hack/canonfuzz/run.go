package main

import (
	"encoding/hex"
	"fmt"
	"reflect"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
)

func caught(f func()) (err error) {
	defer canon.Recover(&err)
	f()
	return nil
}

// lie returns what an allocator that lies returns, as in reference.py.
func lie(g *canontest.Guest, kind string, from int) func(canontest.Realloc, uint32) uint32 {
	return func(call canontest.Realloc, at uint32) uint32 {
		if len(g.Reallocs) < from {
			return at
		}
		switch kind {
		case "unaligned":
			return at + 1
		case "outside":
			if call.Size > 1 {
				return uint32(len(g.Mem)) - call.Size/2
			}
			return 0xfffffff0
		case "same":
			return 16
		case "inplace":
			if call.Old != 0 && call.Size <= call.OldSize {
				return call.Old
			}
		case "end":
			return (uint32(len(g.Mem)) - call.Size) / call.Align * call.Align
		case "grow":
			// The memory moves: what was there is no memory any more.
			grown := make([]byte, len(g.Mem)+4096)
			copy(grown, g.Mem)
			for i := range g.Mem {
				g.Mem[i] = 0xaa
			}
			g.Mem = grown
		}
		return at
	}
}

// lifts reports whether the value can be lifted to Go. Handles can be lifted once, and are left for
// ours.
func (c *comparison) lifts() (can, tried bool) {
	if c.t.Handles || c.json.Buffer != nil {
		return false, false
	}
	var f canon.Frame
	c.from.Begin(&f, c.flat[:])
	return caught(func() { canontest.Lift(f.Lift(c.t, c.json.From.InMemory)) }) == nil, true
}

// ours returns what package canon makes of the case.
func (c *comparison) ours() outcome {
	var from, to canon.Frame
	var flat [plan.MaxValues]plan.Value
	for i := range flat {
		flat[i].Bits = 0xdeadbeefdeadbeef
	}
	c.to.Lie = lie(c.to, c.json.To.Lie, c.json.To.LieAt)
	c.from.Begin(&from, c.flat[:])
	c.to.Begin(&to, flat[:])
	err := caught(func() {
		if b := c.json.Buffer; b != nil {
			values := from.LiftBuffer(c.t, b.From, b.N)
			canon.CopyAll(to.LowerBuffer(c.t, b.To, b.N), values)
			return
		}
		value := from.Lift(c.t, c.json.From.InMemory)
		var place canon.Place
		switch {
		case c.json.To.InMemory && c.json.To.Out >= 0:
			place = to.LowerAt(c.t, uint32(c.json.To.Out))
		default:
			place = to.Lower(c.t, c.json.To.InMemory)
			from.Refresh()
		}
		if c.json.Within {
			canon.CopyWithin(place, value)
		} else {
			canon.Copy(place, value)
		}
	})
	out := outcome{Mem: hex.EncodeToString(trimmed(c.to.Mem)), Size: len(c.to.Mem), Source: table(c.from), Table: table(c.to)}
	if err != nil {
		out.Trap = err.Error()
	}
	for _, r := range c.to.Reallocs {
		out.Reallocs = append(out.Reallocs, [4]uint32{r.Old, r.OldSize, r.Align, r.Size})
	}
	switch {
	case c.json.Buffer != nil:
	case !c.json.To.InMemory:
		for i := range c.t.Flat {
			out.Flat = append(out.Flat, flat[i].Bits)
		}
	case c.json.To.Out < 0:
		out.Flat = []uint64{flat[0].Bits}
	}
	return out
}

func table(g *canontest.Guest) (all [][3]any) {
	for _, e := range g.Table[1:] {
		if e == nil {
			all = append(all, [3]any{})
			continue
		}
		all = append(all, [3]any{kinds[e.Kind], float64(e.Handle.Rep), float64(e.Lent)})
	}
	return all
}

// compare carries the case out, and says how its outcome differs from the reference's.
func (c *comparison) compare(theirs outcome) string {
	can, tried := c.lifts()
	if tried && can != (theirs.Trap != "lift") {
		return fmt.Sprintf("the reference traps: %q, lifting to Go works: %v", theirs.Trap, can)
	}
	return difference(theirs, c.ours())
}

// difference says how the reference's outcome and ours differ, or returns "".
func difference(theirs, ours outcome) string {
	switch {
	case (theirs.Trap == "") != (ours.Trap == ""):
		return fmt.Sprintf("the reference traps: %q, we: %q", theirs.Trap, ours.Trap)
	case theirs.Trap == "lift":
		return "" // we may have lowered a part of it
	case len(theirs.Reallocs)+len(ours.Reallocs) > 0 && !reflect.DeepEqual(theirs.Reallocs, ours.Reallocs):
		return fmt.Sprintf("reallocs of the reference: %v, ours: %v", theirs.Reallocs, ours.Reallocs)
	case theirs.Trap != "":
		return ""
	case len(theirs.Flat)+len(ours.Flat) > 0 && !reflect.DeepEqual(theirs.Flat, ours.Flat):
		return fmt.Sprintf("core values of the reference: %x, ours: %x", theirs.Flat, ours.Flat)
	case theirs.Size != ours.Size || theirs.Mem != ours.Mem:
		return fmt.Sprintf("memory of the reference: %s, ours: %s", theirs.Mem, ours.Mem)
	case len(theirs.Source)+len(ours.Source) > 0 && !reflect.DeepEqual(theirs.Source, ours.Source):
		return fmt.Sprintf("handles of the source in the reference: %v, ours: %v", theirs.Source, ours.Source)
	case len(theirs.Table)+len(ours.Table) > 0 && !reflect.DeepEqual(theirs.Table, ours.Table):
		return fmt.Sprintf("handles of the target in the reference: %v, ours: %v", theirs.Table, ours.Table)
	}
	return ""
}
