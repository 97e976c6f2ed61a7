package translate

import (
	"reflect"
	"strings"
	"testing"
)

// TestLimits: each bound allows a module that reaches it, and refuses one that exceeds it by one.
// The error names the thing, its number and the bound.
// docs/security.md: "A module is read and bounded [before the
// compiler](engine.md#what-modules-may-use) sees it."
func TestLimits(t *testing.T) {
	function := b(0x60, 0, 0)
	types := func(n int) []byte { return sec(sectionType, b(u(n), repeat(n, 0x60, 0, 0))) }
	imports := func(n int) []byte {
		return wasm(types(1), sec(sectionImport, b(u(n), repeat(n, 1, 'a', 1, 'b', 0, 0))))
	}
	nested := func(n int) []byte { return funcs(b(0, repeat(n, opBlock, typeEmpty), repeat(n+1, opEnd))) }
	table := func(n int) []byte {
		return funcs(body(opBlock, typeEmpty, opI32Const, 0, opBrTable, u(n), repeat(n+1, 0), opEnd))
	}
	grow := func(n int) []byte { return funcs(b(0, repeat(n, opI32Const, 0, opMemoryGrow, 0, 0x1a), opEnd)) }
	fill := func(n int) []byte {
		long := b(opI32Const, 0, opI32Const, 0, 0x3f, 0, prefixMisc, 11, 0)
		known := b(opI32Const, 0, opI32Const, 0, opI32Const, 0x80, 0x80, 0xc0, 0, prefixMisc, 11, 0)
		return funcs(b(0, repeat(n, long...), repeat(n, known...), opUnreachable, repeat(n, long...), opEnd))
	}
	tries := func(n int) []byte { // inside each other, and the same number in sequence
		one := b(repeat(n, opTryTable, typeEmpty, 1, 2, 0), repeat(n, opEnd))
		return funcs(b(0, opBlock, typeEmpty, one, one, opEnd, opEnd))
	}
	elements := func(n int) []byte {
		return wasm(types(1), sec(sectionFunction, vec(u(0))), sec(sectionElement, vec(b(1, 0, u(n), repeat(n, 0)))), sec(sectionCode, vec(b(2, body()))))
	}
	structs := func(n int) []byte { return wasm(sec(sectionType, vec(b(typeStruct, u(n), repeat(n, typeI32, 0))))) }
	subtypes := func(n int) []byte {
		list := [][]byte{b(typeSub, 0, typeStruct, 0)}
		for i := range n {
			list = append(list, b(typeSub, 1, i, typeStruct, 0))
		}
		return wasm(sec(sectionType, vec(list...)))
	}
	constant := func(n int) []byte {
		expression := b(opI32Const, 1, repeat((n-1)/2, opI32Const, 1, 0x6a), opEnd)
		return wasm(sec(sectionGlobal, vec(b(typeI32, 0, expression))))
	}
	for _, c := range []struct {
		what   string
		limits Limits
		make   func(n int) []byte
		bound  int
	}{
		{"bytes of a function", Limits{BodyBytes: 100}, func(n int) []byte { return funcs(b(0, repeat(n-2, 1), opEnd)) }, 100},
		{"locals", Limits{Locals: 300}, func(n int) []byte { return funcs(b(2, 5, typeI32, u(n-5), typeF64, opEnd)) }, 300},
		{"blocks within each other", Limits{Nesting: 70}, nested, 70},
		{"targets of a br_table", Limits{Targets: 90}, table, 90},
		{"functions", Limits{Functions: 50}, func(n int) []byte { return funcs(splitBodies(n)...) }, 50},
		{"types", Limits{Types: 50}, func(n int) []byte { return wasm(types(n)) }, 50},
		{"globals", Limits{Globals: 50}, func(n int) []byte {
			return wasm(sec(sectionGlobal, b(u(n), repeat(n, typeI32, 0, opI32Const, 0, opEnd))))
		}, 50},
		{"tables", Limits{}, func(n int) []byte { return wasm(sec(sectionTable, b(u(n), repeat(n, typeFuncref, 0, 0)))) }, 16},
		{"memories", Limits{}, func(n int) []byte { return wasm(sec(sectionMemory, b(u(n), repeat(n, 0, 0)))) }, 16},
		{"tags", Limits{Tags: 20}, func(n int) []byte { return wasm(types(1), sec(sectionTag, b(u(n), repeat(n, 0, 0)))) }, 20},
		{"imports", Limits{Imports: 20}, imports, 20},
		{"exports", Limits{Exports: 20}, func(n int) []byte {
			return wasm(sec(sectionMemory, vec(b(0, 1))), sec(sectionExport, b(u(n), repeat(n, 1, 'x', 2, 0))))
		}, 20},
		{"elements", Limits{Elements: 100}, elements, 100},
		{"element segments", Limits{ElementSegs: 20}, func(n int) []byte { return wasm(sec(sectionElement, b(u(n), repeat(n, 1, 0, 0)))) }, 20},
		{"data segments", Limits{DataSegs: 20}, func(n int) []byte { return wasm(sec(sectionData, b(u(n), repeat(n, 1, 0)))) }, 20},
		{"parameters", Limits{Parameters: 40}, func(n int) []byte { return wasm(sec(sectionType, vec(b(0x60, u(n), repeat(n, typeI32), 0)))) }, 40},
		{"results", Limits{Parameters: 40}, func(n int) []byte { return wasm(sec(sectionType, vec(b(0x60, 0, u(n), repeat(n, typeI32))))) }, 40},
		{"types in a recursive group", Limits{RecGroup: 9}, func(n int) []byte {
			return wasm(sec(sectionType, vec(b(typeRec, u(n), repeat(n, function...)))))
		}, 9},
		{"fields of a struct", Limits{Fields: 30}, structs, 30},
		{"levels of subtypes", Limits{Subtyping: 12}, subtypes, 12},
		{"instructions of a constant expression", Limits{Constant: 5}, constant, 5},
		{"bytes of an import's name", Limits{ImportName: 200}, func(n int) []byte {
			return wasm(types(1), sec(sectionImport, vec(b("m", strings.Repeat("n", n), 0, 0))))
		}, 200},
		{"instructions that grow memories or tables", Limits{Growths: 8}, grow, 8},
		{"instructions that fill or copy memory", Limits{Bulks: 8}, fill, 8},
		{"catches around a place", Limits{Catches: 8}, tries, 8},
	} {
		over := c.bound + 1
		if c.what == "instructions of a constant expression" {
			over++ // always odd
		}
		if _, err := Module(c.make(c.bound), Finished, c.limits); err != nil {
			t.Errorf("%s at the bound: %v", c.what, err)
		}
		count := uint64(c.bound + 1)
		limited(t, c.make(over), c.limits, c.what, count, uint64(c.bound))
	}
}

func splitBodies(n int) (all [][]byte) {
	for range n {
		all = append(all, body())
	}
	return all
}

// TestDefaultLimits: a field of 0 means its default, and there is one for each.
func TestDefaultLimits(t *testing.T) {
	if got := (Limits{}).filled(); got != DefaultLimits {
		t.Errorf("defaults: %+v", got)
	}
	v := reflect.ValueOf(DefaultLimits)
	for i := range v.NumField() {
		one := reflect.New(v.Type()).Elem()
		one.Field(i).SetUint(7)
		got := reflect.ValueOf(one.Interface().(Limits).filled())
		for j := range v.NumField() {
			if want := v.Field(j).Uint(); i != j && got.Field(j).Uint() != want || want == 0 {
				t.Errorf("%s: %d", v.Type().Field(j).Name, got.Field(j).Uint())
			}
		}
		if got.Field(i).Uint() != 7 {
			t.Errorf("%s is not kept", v.Type().Field(i).Name)
		}
	}
}
