package translate

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
)

// Callable is what the host must know of an exported function to call it: the engine believes any
// type that it is told.
type Callable struct {
	Values int // parameters, or results if they are more
	// Realloc says that the type is (i32, i32, i32, i32) -> i32.
	Realloc bool
}

// Encoded, a function that can be called has its number of values, and reallocs this bit.
const reallocBit = 0x80

// callTable has the exported functions that can be called, encoded as Info has them: first the
// entries, in the order of their names, each with where its name ends and what it is, then the
// names.
type callTable struct {
	entries, text []byte
}

const callEntry = 4 + 1

// callable returns the exported functions of a part whose parameters and results are all numbers.
// Host calls have far fewer of them than the encoding has room for.
func (m *module) callable() (t callTable) {
	if !m.keepAll {
		return t
	}
	all := slices.DeleteFunc(slices.Clone(m.exports), func(e export) bool {
		if e.kind != externFunction {
			return true
		}
		f := m.typeOf(e.index)
		return f.values == other || max(f.params, f.results) >= reallocBit
	})
	slices.SortFunc(all, func(a, b export) int { return cmp.Compare(string(a.name), string(b.name)) })
	for _, e := range all {
		f := m.typeOf(e.index)
		what := byte(max(f.params, f.results))
		if f.values == words && f.params == 4 && f.results == 1 {
			what |= reallocBit
		}
		t.text = append(t.text, e.name...)
		t.entries = append(binary.LittleEndian.AppendUint32(t.entries, uint32(len(t.text))), what)
	}
	return t
}

// Callable returns what is known of an export of a part. It is not ok if there is no such export,
// or if the host cannot call it.
func (i *Info) Callable(name string) (c Callable, ok bool) {
	entry := func(e int) (text []byte, what byte) {
		end, start := binary.LittleEndian.Uint32(i.calls.entries[callEntry*e:]), uint32(0)
		if e > 0 {
			start = binary.LittleEndian.Uint32(i.calls.entries[callEntry*(e-1):])
		}
		if start > end || uint64(end) > uint64(len(i.calls.text)) {
			return nil, 0
		}
		return i.calls.text[start:end], i.calls.entries[callEntry*e+4]
	}
	n := len(i.calls.entries) / callEntry
	e := sort.Search(n, func(e int) bool {
		text, _ := entry(e)
		return string(text) >= name
	})
	if e == n {
		return Callable{}, false
	}
	text, what := entry(e)
	if string(text) != name {
		return Callable{}, false
	}
	return Callable{Values: int(what &^ reallocBit), Realloc: what&reallocBit != 0}, true
}
