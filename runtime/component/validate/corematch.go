package validate

import (
	"fmt"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// subtype reports whether t is u or has it as a supertype.
func (t *coreType) subtype(u *coreType) bool {
	for ; t != nil; t = t.super {
		if t == u {
			return true
		}
	}
	return false
}

// extends reports whether a type may have u as its supertype.
func (t *coreType) extends(u *coreType) bool {
	if (t.fn == nil) != (u.fn == nil) || t.array != u.array {
		return false
	}
	if t.fn != nil {
		return matchVals(u.fn.params, t.fn.params) && matchVals(t.fn.results, u.fn.results)
	}
	if len(t.fields) < len(u.fields) {
		return false
	}
	for i, f := range u.fields {
		g := t.fields[i]
		if g.mutable != f.mutable || f.mutable && g.val != f.val || !matchVal(g.val, f.val) {
			return false
		}
	}
	return true
}

func matchVals(have, want []coreVal) bool { return slices.EqualFunc(have, want, matchVal) }

// matchVal reports whether a value of one type is one of the other.
func matchVal(have, want coreVal) bool {
	if have == want {
		return true
	}
	if have.kind != binary.CoreRef || want.kind != binary.CoreRef || have.null && !want.null {
		return false
	}
	switch {
	case have.abstract == want.abstract && have.ref == want.ref:
		return true
	case have.ref != nil && want.ref != nil:
		return have.ref.subtype(want.ref)
	case have.ref != nil:
		return isHeapSubtype(have.ref.heap(), want.abstract)
	case want.ref != nil:
		return have.abstract == bottomOf(want.ref.heap())
	}
	return isHeapSubtype(have.abstract, want.abstract)
}

// Abstract heap types, by the bytes that the core has for them.
const (
	heapNoExn    = 0x74
	heapNoFunc   = 0x73
	heapNoExtern = 0x72
	heapNone     = 0x71
	heapFunc     = 0x70
	heapExtern   = 0x6f
	heapAny      = 0x6e
	heapEq       = 0x6d
	heapI31      = 0x6c
	heapStruct   = 0x6b
	heapArray    = 0x6a
	heapExn      = 0x69
)

// heapSupers has the abstract type right above each abstract type that has one.
var heapSupers = map[uint8]uint8{
	heapEq: heapAny, heapI31: heapEq, heapStruct: heapEq, heapArray: heapEq,
	heapNoExn: heapExn, heapNoFunc: heapFunc, heapNoExtern: heapExtern,
}

// heap is the abstract type right above a type.
func (t *coreType) heap() uint8 {
	switch {
	case t.fn != nil:
		return heapFunc
	case t.array:
		return heapArray
	}
	return heapStruct
}

// bottomOf is the abstract type below all types that are below h.
func bottomOf(h uint8) uint8 {
	if h == heapFunc {
		return heapNoFunc
	}
	return heapNone
}

func isHeapSubtype(h, of uint8) bool {
	if h == heapNone && (of == heapI31 || of == heapStruct || of == heapArray) {
		return true
	}
	if h == heapNone {
		h = heapEq
	}
	for ; h != 0; h = heapSupers[h] {
		if h == of {
			return true
		}
	}
	return false
}

// matchCore reports why a core item is not what is wanted; it returns "" if it is.
func matchCore(have, want coreExtern) (why string) {
	if have.sort != want.sort {
		return fmt.Sprintf("it is %s, and %s is wanted", aSort(have.sort), aSort(want.sort))
	}
	switch want.sort {
	case binary.SortCoreFunc:
		if !have.typ.subtype(want.typ) {
			return "the function is of another type"
		}
	case binary.SortCoreTag:
		if have.typ != want.typ {
			return "the tag is of another type"
		}
	case binary.SortCoreGlobal:
		if have.mutable != want.mutable || want.mutable && have.val != want.val || !matchVal(have.val, want.val) {
			return "the global is of another type"
		}
	case binary.SortCoreTable:
		if have.val != want.val {
			return "the table has elements of another type"
		}
		return matchLimits(have.limits, want.limits)
	case binary.SortCoreMemory:
		return matchLimits(have.limits, want.limits)
	}
	return ""
}

func matchLimits(have, want binary.CoreLimits) (why string) {
	switch {
	case have.Shared != want.Shared:
		return "one is shared, and the other is not"
	case have.Is64 != want.Is64:
		return "one has addresses of 64 bits, and the other has not"
	case have.PageBits != want.PageBits:
		return "the sizes of their pages differ"
	case have.Min < want.Min:
		return fmt.Sprintf("its smallest size is %d, and %d is wanted", have.Min, want.Min)
	case want.HasMax && (!have.HasMax || have.Max > want.Max):
		return fmt.Sprintf("its largest size is not bounded by %d", want.Max)
	}
	return ""
}

// matchModule reports why a module of type a is not one of type b: it must need no more than b, and
// give what b gives.
func (v *validator) matchModule(a, b *moduleType) (why string) {
	if a == b {
		return ""
	}
	v.spend(len(a.imports) + len(b.imports) + len(b.exports))
	given := make(map[[2]string]coreExtern, len(b.imports))
	for _, i := range b.imports {
		given[[2]string{i.module, i.name}] = i.coreExtern
	}
	for _, i := range a.imports {
		x, ok := given[[2]string{i.module, i.name}]
		if !ok {
			return fmt.Sprintf("the module has an import %s %s too many", quoted(i.module), quoted(i.name))
		}
		if why := matchCore(x, i.coreExtern); why != "" {
			return fmt.Sprintf("import %s %s of the module: %s", quoted(i.module), quoted(i.name), why)
		}
	}
	for _, e := range b.exports {
		x, ok := a.export(e.name)
		if !ok {
			return fmt.Sprintf("the module has no export %s", quoted(e.name))
		}
		if why := matchCore(x, e.coreExtern); why != "" {
			return fmt.Sprintf("export %s of the module: %s", quoted(e.name), why)
		}
	}
	return ""
}
