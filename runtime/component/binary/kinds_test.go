package binary

import (
	"reflect"
	"testing"
)

// kind is a component in text, and those of its definitions that the test is about.
type kind struct {
	name string
	text string
	skip int // definitions before those
	want []Definition
}

func TestDefinitions(t *testing.T) {
	for _, c := range []kind{
		{"core module", `(component (core module))`, 0, []Definition{&CoreModule{Bytes: headModule}}},
		{"core instances", `(component (core module $a (memory (export "m") 1)) (core module $b (import "a" "m" (memory 1)))
			(core instance $i (instantiate $a))
			(core instance (instantiate $b (with "a" (instance $i))))
			(alias core export $i "m" (core memory $m))
			(core instance (export "x" (memory $m))))`, 2, []Definition{
			&CoreInstantiate{},
			&CoreInstantiate{Module: 1, Args: []CoreArg{{"a", 0}}},
			&AliasCoreExport{Sort: SortCoreMemory, Name: "m"},
			&CoreBundle{Exports: []CoreExport{{"x", Ref{Sort: SortCoreMemory}}}},
		}},
		{"instances", `(component (import "f" (func $f)) (component $c (import "f" (func)) (import "t" (type (sub resource))))
			(type $t (resource (rep i32)))
			(instance (instantiate $c (with "f" (func $f)) (with "t" (type $t))))
			(instance (export "g" (func $f))))`, 4, []Definition{
			&Instantiate{Args: []Arg{{"f", Ref{Sort: SortFunc}}, {"t", Ref{SortType, 1}}}},
			&Bundle{Exports: []InlineExport{{ExternName{Name: "g"}, Ref{Sort: SortFunc}}}},
		}},
		{"aliases", `(component (import "i" (instance $i (export "f" (func)) (export "t" (type (sub resource)))))
			(alias export $i "f" (func)) (alias export $i "t" (type $t))
			(component (alias outer 1 $t (type))))`, 2, []Definition{
			&AliasExport{Sort: SortFunc, Name: "f"},
			&AliasExport{Sort: SortType, Name: "t"},
			&Component{Definitions: []Definition{&AliasOuter{Sort: SortType, Count: 1, Index: 1}}},
		}},
		{"imports", `(component (core type $m (module)) (type $f (func)) (type $i (instance)) (type $c (component)) (type $s string)
			(import "m" (core module (type $m))) (import "f" (func (type $f))) (import "i" (instance (type $i)))
			(import "c" (component (type $c))) (import "s" (type (eq $s))) (import "r" (type (sub resource)))
			(import "a:b/c@1.2.3" (instance (type $i))))`, 5, []Definition{
			&Import{Name: ExternName{Name: "m"}, Type: ExternType{Sort: SortCoreModule}},
			&Import{Name: ExternName{Name: "f"}, Type: ExternType{Sort: SortFunc}},
			&Import{Name: ExternName{Name: "i"}, Type: ExternType{Sort: SortInstance, Index: 1}},
			&Import{Name: ExternName{Name: "c"}, Type: ExternType{Sort: SortComponent, Index: 2}},
			&Import{Name: ExternName{Name: "s"}, Type: ExternType{Sort: SortType, Index: 3}},
			&Import{Name: ExternName{Name: "r"}, Type: ExternType{Sort: SortType, Resource: true}},
			&Import{Name: ExternName{Name: "a:b/c@1.2.3"}, Type: ExternType{Sort: SortInstance, Index: 1}},
		}},
		{"exports", `(component (core module $m) (type $f (func)) (import "f" (func $g (type $f)))
			(export "m" (core module $m)) (export "g" (func $g)) (export "h" (func $g) (func (type $f))))`, 3, []Definition{
			&Export{Name: ExternName{Name: "m"}, Ref: Ref{Sort: SortCoreModule}},
			&Export{Name: ExternName{Name: "g"}, Ref: Ref{Sort: SortFunc}},
			&Export{Name: ExternName{Name: "h"}, Ref: Ref{Sort: SortFunc}, Type: &ExternType{Sort: SortFunc}},
		}},
		{"lift and lower", `(component (core module $m (func (export "f") (param i32 i32)) (func (export "p"))
				(memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
			(core instance $i (instantiate $m)) (type $t (func (param "s" string)))
			(alias core export $i "f" (core func $f)) (alias core export $i "m" (core memory $m)) (alias core export $i "r" (core func $r))
			(func $l (type $t) (canon lift (core func $f) string-encoding=utf16 (memory $m) (realloc (func $r))))
			(core func (canon lower (func $l) string-encoding=latin1+utf16 (memory $m))))`, 6, []Definition{
			&Lift{Options: Options{Encoding: of(UTF16), Memory: of(uint32(0)), Realloc: of(uint32(1))}},
			&Lower{Options: Options{Encoding: of(Latin1UTF16), Memory: of(uint32(0))}},
		}},
		{"resource built-ins", `(component (type $t (resource (rep i32))) (core func (canon resource.new $t))
			(core func (canon resource.rep $t)) (core func (canon resource.drop $t)))`, 1, []Definition{
			&Builtin{Op: ResourceNew}, &Builtin{Op: ResourceRep}, &Builtin{Op: ResourceDrop},
		}},
		{"resource with a destructor", `(component (core module $m (func (export "d") (param i32))) (core instance $i (instantiate $m))
			(type (resource (rep i32) (dtor (func $i "d")))))`, 3, []Definition{
			&TypeDef{Type: &Resource{Destructor: of(uint32(0))}},
		}},
	} {
		got := placeless(decode(t, assemble(t, c.text))).Definitions
		if len(got) < c.skip || !reflect.DeepEqual(got[c.skip:], c.want) {
			t.Errorf("%s: %s, want %s", c.name, show(got), show(c.want))
		}
	}
}

func TestTypes(t *testing.T) {
	u8, str := ValType{Prim: U8}, ValType{Prim: String}
	for text, want := range map[string]DefType{
		`bool`: Bool, `s8`: S8, `u8`: U8, `s16`: S16, `u16`: U16, `s32`: S32, `u32`: U32, `s64`: S64, `u64`: U64,
		`f32`: F32, `f64`: F64, `char`: Char, `string`: String, `error-context`: ErrorContext,
		`(record (field "a" u8) (field "b" string))`: &Record{[]Field{{"a", u8}, {"b", str}}},
		`(variant (case "a" u8) (case "b"))`:         &Variant{[]Case{{"a", &u8}, {"b", nil}}},
		`(list u8)`:                                  &List{Type: u8},
		`(tuple u8 string)`:                          &Tuple{[]ValType{u8, str}},
		`(flags "a" "b")`:                            &Flags{[]string{"a", "b"}},
		`(enum "a" "b")`:                             &Enum{[]string{"a", "b"}},
		`(option u8)`:                                &Option{u8},
		`(result)`:                                   &Result{},
		`(result u8)`:                                &Result{OK: &u8},
		`(result (error string))`:                    &Result{Err: &str},
		`(result u8 (error string))`:                 &Result{&u8, &str},
		`(own $r)`:                                   &Own{},
		`(borrow $r)`:                                &Borrow{},
		`(stream u8)`:                                &Stream{&u8},
		`(stream)`:                                   &Stream{},
		`(future string)`:                            &Future{&str},
		`(future)`:                                   &Future{},
		`(list $t)`:                                  &List{Type: ValType{Index: 1}},
		`(func)`:                                     &Func{},
		`(func (result string))`:                     &Func{Result: &str},
		`(func (param "a" u8))`:                      &Func{Params: []Field{{"a", u8}}},
		`(instance)`:                                 &InstanceType{},
		`(component)`:                                &ComponentType{},
		`(resource (rep i32))`:                       &Resource{},
		`(component (import "f" (func)) (export "t" (type (sub resource))) (type u8) (alias outer 1 $t (type)))`: &ComponentType{[]Declaration{
			&TypeDef{Type: &Func{}},
			&ImportDecl{Name: ExternName{Name: "f"}, Type: ExternType{Sort: SortFunc}},
			&ExportDecl{Name: ExternName{Name: "t"}, Type: ExternType{Sort: SortType, Resource: true}},
			&TypeDef{Type: U8},
			&AliasOuter{Sort: SortType, Count: 1, Index: 1},
		}},
		`(instance (export "i" (instance $i (export "t" (type (sub resource))))) (alias export $i "t" (type)))`: &InstanceType{[]Declaration{
			&TypeDef{Type: &InstanceType{[]Declaration{
				&ExportDecl{Name: ExternName{Name: "t"}, Type: ExternType{Sort: SortType, Resource: true}}}}},
			&ExportDecl{Name: ExternName{Name: "i"}, Type: ExternType{Sort: SortInstance}},
			&AliasExport{Sort: SortType, Name: "t"},
		}},
	} {
		defs := placeless(decode(t, assemble(t, `(component (type $r (resource (rep i32))) (type $t (list u8)) (type `+text+`))`))).Definitions
		if got := defs[len(defs)-1]; !reflect.DeepEqual(got, &TypeDef{Type: want}) {
			t.Errorf("%s: %s, want %s", text, show(got), show(want))
		}
	}
}

// TestOtherTypes has types that the tests' assembler does not know, or writes in another form.
func TestOtherTypes(t *testing.T) {
	u8, str := ValType{Prim: U8}, ValType{Prim: String}
	for _, c := range []struct {
		b    []byte
		want DefType
	}{
		{bytesOf(typeFixedList, 0x7d, 3), &List{Type: u8, Fixed: true, Length: 3}},
		{bytesOf(typeFixedList, 0x7d, 0), &List{Type: u8, Fixed: true}}, // which is for validation
		{bytesOf(typeMap, 0x73, 0x7d), &Map{str, u8}},
		{bytesOf(typeAsyncFunc, 1, name("a"), 0x7d, 0, 0x73), &Func{Async: true, Params: []Field{{"a", u8}}, Result: &str}},
		{bytesOf(typeInstance, 1, declareCoreType, 0x60, 0, 0), &InstanceType{[]Declaration{
			&CoreTypeDef{Types: []CoreSubType{{Final: true, Type: &CoreFuncType{}}}}}}},
		{bytesOf(typeList, 0xc0, 0x00), &List{Type: ValType{Index: 64}}},
		{bytesOf(typeList, 0x3f), &List{Type: ValType{Index: 63}}},
	} {
		got := placeless(decode(t, component(section(sectionType, 1, c.b)))).Definitions[0]
		if !reflect.DeepEqual(got, &TypeDef{Type: c.want}) {
			t.Errorf("% x: %s, want %s", c.b, show(got), show(c.want))
		}
	}
}

func TestCoreTypes(t *testing.T) {
	i32 := CoreValType{Kind: CoreI32}
	alone := func(final bool, ct CoreCompType, supers ...uint32) *CoreTypeDef {
		return &CoreTypeDef{Types: []CoreSubType{{Final: final, Supers: supers, Type: ct}}}
	}
	for _, c := range []struct {
		name string
		b    []byte
		want *CoreTypeDef
	}{
		{"function", bytesOf(0x60, 5, 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 3, 0x70, 0x64, 0x6f, 0x63, 5), alone(true, &CoreFuncType{
			Params: []CoreValType{i32, {Kind: CoreI64}, {Kind: CoreF32}, {Kind: CoreF64}, {Kind: CoreV128}},
			Results: []CoreValType{{Kind: CoreRef, Null: true, Heap: CoreHeap{Abstract: 0x70}},
				{Kind: CoreRef, Heap: CoreHeap{Abstract: 0x6f}}, {Kind: CoreRef, Null: true, Heap: CoreHeap{Index: 5}}},
		})},
		{"struct", bytesOf(0x5f, 2, 0x78, 0, 0x7f, 1), alone(true, &CoreStructType{[]CoreField{{Type: CoreValType{Kind: CoreI8}}, {i32, true}}})},
		{"array", bytesOf(0x5e, 0x77, 1), alone(true, &CoreArrayType{CoreField{CoreValType{Kind: CoreI16}, true}})},
		{"final subtype", bytesOf(0x4f, 1, 3, 0x60, 0, 0), alone(true, &CoreFuncType{}, 3)},
		{"open subtype", bytesOf(0, 0x50, 1, 3, 0x60, 0, 0), alone(false, &CoreFuncType{}, 3)},
		{"group", bytesOf(0x4e, 2, 0x50, 0, 0x5f, 0, 0x60, 0, 0), &CoreTypeDef{Types: []CoreSubType{
			{Type: &CoreStructType{}}, {Final: true, Type: &CoreFuncType{}}}}},
		{"module", bytesOf(0x50, 4, 1, 0x60, 0, 0, 0, name("a"), name("b"), 0, 0, 2, 0x10, 1, 1, 7, 3, name("c"), 3, 0x7f, 1),
			&CoreTypeDef{Module: &CoreModuleType{[]CoreModuleDecl{
				alone(true, &CoreFuncType{}),
				&CoreImport{"a", "b", CoreExtern{Sort: SortCoreFunc}},
				&CoreAlias{1, 7},
				&CoreExportDecl{"c", CoreExtern{Sort: SortCoreGlobal, Value: i32, Mutable: true}},
			}}}},
		{"empty module", bytesOf(0x50, 0), &CoreTypeDef{Module: &CoreModuleType{}}},
	} {
		got := placeless(decode(t, component(section(sectionCoreType, 1, c.b)))).Definitions[0]
		if !reflect.DeepEqual(got, Definition(c.want)) {
			t.Errorf("%s: %s, want %s", c.name, show(got), show(c.want))
		}
	}
}

func TestNamesOfItems(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want ExternName
	}{
		{"plain", bytesOf(0, name("a")), ExternName{Name: "a"}},
		{"the same", bytesOf(1, name("a")), ExternName{Name: "a"}},
		{"without attributes", bytesOf(2, name("a"), 0), ExternName{Name: "a"}},
		{"all attributes", bytesOf(2, name("a"), 3, 0, name("b:c/d"), 1, name(".2"), 2, name("id")),
			ExternName{Name: "a", Implements: "b:c/d", VersionSuffix: ".2", ExternalID: "id"}},
		{"an attribute twice", bytesOf(2, name("a"), 2, 2, name(""), 2, name("id")), ExternName{Name: "a", ExternalID: "id", Repeated: "external-id"}},
	} {
		got := find[*Import](decode(t, component(section(sectionImport, 1, c.b, 1, 0))))[0].Name
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
