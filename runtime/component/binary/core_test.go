package binary

import (
	"reflect"
	"testing"
)

// readCoreText reads a module in text.
func readCoreText(t testing.TB, text string) *Core {
	t.Helper()
	c, err := ReadCore(assemble(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReadCore(t *testing.T) {
	c := readCoreText(t, `(module
		(type $f (func (param i32) (result i64 f32)))
		(rec (type $s (sub (struct (field (mut i8)) (field (ref null $a))))) (type $a (array (ref $s))))
		(import "env" "f" (func (type $f))) (import "env" "m" (memory 1 2)) (import "env" "g" (global (mut i32)))
		(import "env" "t" (table 3 funcref)) (import "env" "e" (tag (param i32)))
		(func $h (export "h") (result i32) (i32.const 1))
		(table $t 1 7 externref) (table $u 2 (ref null $a)) (table 1 (ref $s) (struct.new_default $s)) (global $g (export "g") f64 (f64.const 1.5))
		(global $c (export "c") (ref $s) (struct.new $s (i32.const 1) (ref.null $a)))
		(global (export "v") v128 (v128.const i64x2 1 2)) (global (export "x") i32 (i32.add (i32.const -1) (i32.const 2)))
		(global (export "n") i64 (i64.const 0x7fffffffffffffff)) (global (export "r") funcref (ref.func $h))
		(tag $e (export "e") (param i64))
		(export "m" (memory 0)) (export "t" (table $t)) (export "u" (table $u)) (export "import" (func 0))
		(data "abc") (start $s) (func $s (drop (i32.const 3))))`)
	i32, i64, f32 := CoreValType{Kind: CoreI32}, CoreValType{Kind: CoreI64}, CoreValType{Kind: CoreF32}
	ref := func(null bool, h CoreHeap) CoreValType { return CoreValType{Kind: CoreRef, Null: null, Heap: h} }
	funcref := ref(true, CoreHeap{Abstract: 0x70})
	wantGroups := [][]CoreSubType{
		{{Final: true, Type: &CoreFuncType{[]CoreValType{i32}, []CoreValType{i64, f32}}}},
		{{Type: &CoreStructType{[]CoreField{{CoreValType{Kind: CoreI8}, true}, {Type: ref(true, CoreHeap{Index: 2})}}}},
			{Final: true, Type: &CoreArrayType{CoreField{Type: ref(false, CoreHeap{Index: 1})}}}},
	}
	if !reflect.DeepEqual(c.Groups[:2], wantGroups) {
		t.Errorf("groups are %s, want %s", show(c.Groups[:2]), show(wantGroups))
	}
	typeOf := func(i uint32) CoreCompType { // of those that are alone in their group, behind the first three
		return c.Groups[i-1][0].Type
	}
	tag := c.Imports[4].Type
	if want := (&CoreFuncType{Params: []CoreValType{i32}}); tag.Sort != SortCoreTag || !reflect.DeepEqual(typeOf(tag.Type), want) {
		t.Errorf("the tag is %+v", tag)
	}
	wantImports := []CoreImport{
		{"env", "f", CoreExtern{Sort: SortCoreFunc}},
		{"env", "m", CoreExtern{Sort: SortCoreMemory, Limits: CoreLimits{Min: 1, Max: 2, HasMax: true, PageBits: 16}}},
		{"env", "g", CoreExtern{Sort: SortCoreGlobal, Value: i32, Mutable: true}},
		{"env", "t", CoreExtern{Sort: SortCoreTable, Value: funcref, Limits: CoreLimits{Min: 3}}},
	}
	if !reflect.DeepEqual(c.Imports[:4], wantImports) {
		t.Errorf("imports are %s, want %s", show(c.Imports[:4]), show(wantImports))
	}
	for name, want := range map[string]CoreExtern{
		"import": {Sort: SortCoreFunc},
		"m":      wantImports[1].Type,
		"t":      {Sort: SortCoreTable, Value: ref(true, CoreHeap{Abstract: 0x6f}), Limits: CoreLimits{Min: 1, Max: 7, HasMax: true}},
		"u":      {Sort: SortCoreTable, Value: ref(true, CoreHeap{Index: 2}), Limits: CoreLimits{Min: 2}},
		"g":      {Sort: SortCoreGlobal, Value: CoreValType{Kind: CoreF64}},
		"c":      {Sort: SortCoreGlobal, Value: ref(false, CoreHeap{Index: 1})},
		"v":      {Sort: SortCoreGlobal, Value: CoreValType{Kind: CoreV128}},
		"x":      {Sort: SortCoreGlobal, Value: i32},
		"n":      {Sort: SortCoreGlobal, Value: i64},
		"r":      {Sort: SortCoreGlobal, Value: funcref},
	} {
		if got, ok := c.Export(name); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("the export %s is %+v, want %+v", name, got, want)
		}
	}
	h, _ := c.Export("h")
	if want := (&CoreFuncType{Results: []CoreValType{i32}}); h.Sort != SortCoreFunc || !reflect.DeepEqual(typeOf(h.Type), want) {
		t.Errorf("the export h is %+v", h)
	}
	if _, ok := c.Export("nothing"); ok || len(c.Exports) != 12 {
		t.Errorf("%d exports, and one called nothing: %v", len(c.Exports), ok)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want CoreLimits
	}{
		{bytesOf(0, 1), CoreLimits{Min: 1, PageBits: 16}},
		{bytesOf(1, 1, 2), CoreLimits{Min: 1, Max: 2, HasMax: true, PageBits: 16}},
		{bytesOf(3, 1, 2), CoreLimits{Min: 1, Max: 2, HasMax: true, Shared: true, PageBits: 16}},
		{bytesOf(4, 0x80, 0x80, 0x80, 0x80, 0x10), CoreLimits{Min: 1 << 32, Is64: true, PageBits: 16}},
		{bytesOf(8, 1, 0), CoreLimits{Min: 1}},
		{bytesOf(9, 1, 2, 16), CoreLimits{Min: 1, Max: 2, HasMax: true, PageBits: 16}},
	} {
		core, err := ReadCore(module(section(2, 1, name("a"), name("b"), 2, c.b)))
		if err != nil {
			t.Errorf("% x: %v", c.b, err)
			continue
		}
		if got := core.Imports[0].Type.Limits; got != c.want {
			t.Errorf("% x: %+v, want %+v", c.b, got, c.want)
		}
	}
}

// TestUnreadSections: code, data, elements and the start are passed over, whatever is in them.
func TestUnreadSections(t *testing.T) {
	rest := bytesOf(section(8, 0xff), section(9, 0xff), section(12, 0xff), section(10, repeated([]byte{0xff}, 1000)), section(11, 0xff))
	c, err := ReadCore(module(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(7, 1, name("f"), 0, 0), section(0, name("custom"), 0xff), rest))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Export("f"); !ok {
		t.Error("the export f is not there")
	}
}

func TestMalformedCore(t *testing.T) {
	const body = 10
	types := section(1, 2, 0x60, 0, 0, 0x5f, 0)
	behind := 8 + len(types) + 2 // where the section behind the types has its content
	flawed := func(id int, parts ...any) []byte { return module(section(id, parts...)) }
	typed := func(id int, parts ...any) []byte { return module(types, section(id, parts...)) }
	for _, c := range []refused{
		{"a component", component(), 6, "no core module: its layer is 1"},
		{"a cut module", module()[:6], 0, "6 bytes are no WebAssembly"},
		{"a section that is not known", flawed(14), 8, "no section 0xe"},
		{"a section twice", module(section(1, 0), section(11, 0), section(1, 0)), 14, "section 0x1 is twice there, or in the wrong place"},
		{"a tag behind the globals", module(section(6, 0), section(13, 0)), 11, "section 0xd is twice there"},
		{"bytes left", flawed(1, 0, 0), body + 1, "1 bytes are left"},
		{"a size behind the end", module(10, 100), body, "100 bytes must follow"},
		{"a custom name", flawed(0, 1, 0x80), body, "not UTF-8"},
		{"a module type", flawed(1, 1, 0x50, 0, 0), body + 3, "core type 0x0"},
		{"a parameter's type that is not there", flawed(1, 1, 0x60, 1, 0x64, 1, 0), body + 1, "no type 1"},
		{"a field's type that is not there", flawed(1, 1, 0x5f, 1, 0x64, 1, 0), body + 1, "no type 1"},
		{"a supertype behind", flawed(1, 1, 0x4e, 2, 0x50, 1, 1, 0x5f, 0, 0x5f, 0), body + 1, "no type 1 before its subtype"},
		{"a type's own supertype", flawed(1, 1, 0x50, 1, 0, 0x5f, 0), body + 1, "no type 0 before its subtype"},
		{"an imported function's type", typed(2, 1, name("a"), name("b"), 0, 2), behind + 1, "no type 2"},
		{"an imported function of a struct", typed(2, 1, name("a"), name("b"), 0, 1), behind + 1, "type 1 is no function's"},
		{"an imported tag's type", typed(2, 1, name("a"), name("b"), 4, 0, 1), behind + 1, "type 1 is no function's"},
		{"an imported table's type", typed(2, 1, name("a"), name("b"), 1, 0x63, 2, 0, 0), behind + 1, "no type 2"},
		{"an imported global's type", typed(2, 1, name("a"), name("b"), 3, 0x63, 2, 0), behind + 1, "no type 2"},
		{"an import of no kind", typed(2, 1, name("a"), name("b"), 5, 0), behind + 5, "kind 0x5"},
		{"a function's type", typed(3, 1, 2), behind + 1, "no type 2"},
		{"a function of a struct", typed(3, 2, 0, 1), behind + 2, "type 1 is no function's"},
		{"a tag's type", typed(13, 1, 0, 1), behind + 1, "type 1 is no function's"},
		{"a table of numbers", flawed(4, 1, 0x7f, 0, 0), body + 1, "type of values 0x7f"},
		{"a table's form", flawed(4, 1, 0x40, 1, 0x70, 0, 0), body + 2, "form of a table is 0x1"},
		{"a global's constant", flawed(6, 1, 0x7f, 0, 0x20, 0, 0x0b), body + 3, "instruction 0x20"},
		{"a global's constant of SIMD", flawed(6, 1, 0x7b, 0, 0xfd, 13, 0x0b), body + 3, "instruction 0xfd 13"},
		{"a global's constant object", flawed(6, 1, 0x6e, 0, 0xfb, 2, 0x0b), body + 3, "instruction 0xfb 2"},
		{"a constant without an end", flawed(6, 1, 0x7f, 0, 0x41, 0), body + 5, "ends too early"},
		{"a constant's number", flawed(6, 1, 0x7f, 0, 0x41, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x0b), body + 4, "longer than 32 bits"},
		{"whether a global is mutable", flawed(6, 1, 0x7f, 2), body + 2, "mutable is 0x2"},
		{"an export of no kind", flawed(7, 1, name("f"), 5, 0), body + 1, "kind 0x5"},
		{"an exported function", flawed(7, 1, name("f"), 0, 0), body + 1, "no function 0"},
		{"an exported table", flawed(7, 1, name("f"), 1, 0), body + 1, "no table 0"},
		{"an exported memory", flawed(7, 1, name("f"), 2, 0), body + 1, "no memory 0"},
		{"an exported global", flawed(7, 1, name("f"), 3, 0), body + 1, "no global 0"},
		{"an exported tag", flawed(7, 1, name("f"), 4, 0), body + 1, "no tag 0"},
		{"two exports of one name", module(section(5, 1, 0, 0), section(7, 2, name("m"), 2, 0, name("m"), 2, 0)), 8 + 5 + 2 + 5, "the same name"},
	} {
		_, err := ReadCore(c.b)
		c.check(t, ErrMalformed, err)
	}
	for _, c := range []refused{
		{"a continuation", flawed(1, 1, 0x5d, 0), body + 1, "reading the core module: at 0xb: it has types of stack switching"},
		{"a shared type", flawed(1, 1, 0x65, 0x60, 0, 0), body + 1, "shared types"},
	} {
		_, err := ReadCore(c.b)
		c.check(t, ErrUnsupported, err)
	}
}

// TestPlacesOfModules: errors in a component's module have their place in the file.
func TestPlacesOfModules(t *testing.T) {
	file := component(section(4, component(section(1, module(section(5, 1, 0x20, 0))))))
	modules := find[*CoreModule](find[*Component](decode(t, file))[0])
	_, err := modules[0].Core()
	refused{"a flag", nil, 31, "flags of a size 0x20"}.check(t, ErrMalformed, err)
	if file[31] != 0x20 {
		t.Errorf("at 31 is 0x%x", file[31])
	}
}
