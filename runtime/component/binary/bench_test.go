package binary

import (
	"fmt"
	"strings"
	"testing"
)

// large is a component with thousands of definitions, and modules of 20 MB with 100,000 functions.
func large(b *testing.B) []byte {
	const each = 2000
	var types, imports, aliases, canons []byte
	for i := range each {
		types = append(types, bytesOf(typeRecord, 2, name("first"), 0x79, name("second"), 0x73)...)
		types = append(types, bytesOf(typeFunc, 2, name("self"), 0x79, name("value"), 2*(i%32), 0, 0x73)...)
		imports = append(imports, bytesOf(0, name(fmt.Sprint("an-import-", i)), 1, leb(2*i+1))...)
		aliases = append(aliases, bytesOf(0, 0, aliasCoreExport, 0, name(fmt.Sprint("cabi_export_", i)))...)
		canons = append(canons, bytesOf(canonLower, 0, leb(i), 3, optionUTF8, optionMemory, 0, optionRealloc, 0)...)
	}
	const functions = 100_000
	body := bytesOf(leb(200), 0, repeated([]byte{1}, 198), 0x0b)
	core := module(section(1, 1, 0x60, 0, 0), section(3, leb(functions), make([]byte, functions)), section(7, 1, name("f"), 0, 0),
		section(10, leb(functions), repeated(body, functions)))
	inner := component(section(sectionType, leb(2*each), types), section(sectionImport, leb(each), imports))
	return component(section(sectionCoreModule, core), section(sectionComponent, inner), section(sectionType, leb(2*each), types),
		section(sectionImport, leb(each), imports), section(sectionAlias, leb(each), aliases), section(sectionCanon, leb(each), canons))
}

func BenchmarkDecode(b *testing.B) {
	file := large(b)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		decode(b, file)
	}
}

func BenchmarkReadCore(b *testing.B) {
	core := find[*CoreModule](decode(b, large(b)))[0].Bytes
	b.SetBytes(int64(len(core)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadCore(core); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadCoreExports has a module whose exports are many.
func BenchmarkReadCoreExports(b *testing.B) {
	const each = 10_000
	var exports strings.Builder
	for i := range each {
		fmt.Fprintf(&exports, `(export "symbol-%d" (func $f))`, i)
	}
	core := assemble(b, `(module (func $f) `+exports.String()+`)`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadCore(core); err != nil {
			b.Fatal(err)
		}
	}
}
