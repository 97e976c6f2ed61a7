package p2_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// world writes the text of a component that imports functions of the table: each becomes a function
// of a core module, named by its interface and its own name, as "wasi:io/poll#poll". Drops of
// resources are functions too: "drop wasi:io/poll#pollable".
type world struct {
	version string // of what it imports
	uses    func(name string) bool

	imports, lowered, bundle, core strings.Builder

	shown map[string]bool // interfaces whose instances are written
}

// program returns the text of a component that exports wasi:cli/run. Its module has the data and
// the code, which may call all functions that it names. uses, if it is not nil, chooses others.
func program(version, data, code string, uses func(name string) bool) string {
	if uses == nil {
		uses = func(name string) bool { return strings.Contains(code, `$"`+name+`"`) }
	}
	w := &world{version: version, uses: uses, shown: map[string]bool{}}
	for i := range bindings.Table.Functions {
		if f := &bindings.Table.Functions[i]; f.Stub != nil {
			w.instance(f.Interface)
		}
	}
	return `(component ` + w.imports.String() + `
		(core module $Libc (memory (export "memory") 4)
			(global $at (mut i32) (i32.const 65536))
			(func (export "realloc") (param i32 i32 i32 i32) (result i32)
				(global.set $at (i32.and (i32.add (global.get $at) (i32.const 15)) (i32.const -16)))
				(global.get $at)
				(global.set $at (i32.add (global.get $at) (local.get 3)))))
		(core instance $libc (instantiate $Libc)) ` + w.lowered.String() + `
		(core module $Main (import "libc" "memory" (memory 4)) ` + w.core.String() + `
			(data (i32.const 0) "` + data + `") ` + code + `)
		(core instance $main (instantiate $Main (with "libc" (instance $libc)) (with "host" (instance ` + w.bundle.String() + `))))
		(func $run (result (result)) (canon lift (core func $main "run")))
		(instance $exports (export "run" (func $run)))
		(export "wasi:cli/run@` + version + `" (instance $exports)))`
}

// dropName is the name of the function that drops a resource: of wasi:io/poll@0.2#pollable.
func dropName(resource string) string {
	iface, name := owner(resource)
	return "drop " + iface + "#" + name
}

// owner parts the name of a resource.
func owner(resource string) (iface, name string) {
	iface, name, _ = strings.Cut(resource, "#")
	iface, _, _ = strings.Cut(iface, "@")
	return iface, name
}

// resources are those of the types below one.
func resources(index int32) (all []string) {
	if index == typed.Missing {
		return nil
	}
	d := bindings.Table.Types[index]
	if d.Resource != "" {
		all = append(all, d.Resource)
	}
	for _, e := range d.Elems {
		all = append(all, resources(e)...)
	}
	return all
}

func ofFunction(f *typed.Function) (all []string) {
	for _, p := range f.Params {
		all = append(all, resources(p)...)
	}
	all = append(all, resources(f.Result)...)
	slices.Sort(all)
	return slices.Compact(all)
}

// functions are those that are imported of an interface.
func (w *world) functions(iface string) (all []*typed.Function) {
	for i := range bindings.Table.Functions {
		f := &bindings.Table.Functions[i]
		if f.Interface == iface && f.Stub != nil && w.uses(iface+"#"+f.Name) {
			all = append(all, f)
		}
	}
	return all
}

// own are the resources of an interface that any function of the world has.
func (w *world) own(iface string) (all []string) {
	for i := range bindings.Table.Functions {
		f := &bindings.Table.Functions[i]
		if f.Stub == nil {
			continue
		}
		for _, r := range ofFunction(f) {
			of, _ := owner(r)
			if of == iface && (w.uses(f.Interface+"#"+f.Name) || w.uses(dropName(r))) {
				all = append(all, r)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// instance writes the import of an interface, after those whose resources it has.
func (w *world) instance(iface string) {
	if w.shown[iface] {
		return
	}
	w.shown[iface] = true
	functions, own := w.functions(iface), w.own(iface)
	if len(functions)+len(own) == 0 {
		return
	}
	in := &instanceType{named: map[int32]bool{}}
	for _, r := range own {
		_, name := owner(r)
		fmt.Fprintf(&in.text, `(export "%s" (type $"%s" (sub resource)))`, name, r)
	}
	var others []string
	for _, f := range functions {
		for _, r := range ofFunction(f) {
			if of, _ := owner(r); of != iface && !slices.Contains(others, r) {
				w.instance(of)
				others = append(others, r)
				fmt.Fprintf(&in.text, `(alias outer 1 $"%s" (type $"outer %s")) (export "used-%d" (type $"%s" (eq $"outer %s")))`, r, r, len(others), r, r)
			}
		}
	}
	for _, f := range functions {
		in.function(f)
		w.lower(f)
	}
	fmt.Fprintf(&w.imports, "\n"+`(import "%s@%s" (instance $"%s" %s))`, iface, w.version, iface, in.text.String())
	for _, r := range own {
		_, name := owner(r)
		fmt.Fprintf(&w.imports, ` (alias export $"%s" "%s" (type $"%s"))`, iface, name, r)
		if w.uses(dropName(r)) {
			fmt.Fprintf(&w.lowered, ` (core func $"%s" (canon resource.drop $"%s"))`, dropName(r), r)
			w.hand(dropName(r), "(param i32)")
		}
	}
}

// lower writes how a function becomes one of the core module.
func (w *world) lower(f *typed.Function) {
	name := f.Interface + "#" + f.Name
	fmt.Fprintf(&w.lowered, "\n"+`(core func $"%s" (canon lower (func $"%s" "%s") (memory $libc "memory") (realloc (func $libc "realloc"))))`,
		name, f.Interface, f.Name)
	fn := types.Func{Result: typeOf(f.Result)}
	for i, p := range f.Params {
		fn.Params = append(fn.Params, types.Param{Label: f.Labels[i], Type: typeOf(p)})
	}
	s := types.NewFunc(fn).Lowered(false)
	w.hand(name, "(param"+coreText(s.Params)+") (result"+coreText(s.Results)+")")
}

// hand gives a function to the core module.
func (w *world) hand(name, of string) {
	fmt.Fprintf(&w.bundle, ` (export "%s" (func $"%s"))`, name, name)
	fmt.Fprintf(&w.core, ` (import "host" "%s" (func $"%s" %s))`, name, name, of)
}

func coreText(all []types.Core) (text string) {
	for _, c := range all {
		text += [...]string{types.I32: " i32", types.I64: " i64", types.F32Core: " f32", types.F64Core: " f64"}[c]
	}
	return text
}

// typeOf is a type of the table.
func typeOf(index int32) *types.Type {
	if index == typed.Missing {
		return nil
	}
	d := bindings.Table.Types[index]
	if d.Kind <= types.ErrorContext {
		return types.Prim(d.Kind)
	}
	t := types.Type{Kind: d.Kind, Labels: d.Labels, Length: d.Length}
	for _, e := range d.Elems {
		t.Elems = append(t.Elems, typeOf(e))
	}
	return types.New(t)
}

// instanceType is the text of an instance's type. Types that must have names are exported first.
type instanceType struct {
	text  strings.Builder
	named map[int32]bool
}

func (in *instanceType) function(f *typed.Function) {
	text := ""
	for i, p := range f.Params {
		text += fmt.Sprintf(` (param "%s" %s)`, f.Labels[i], in.of(p))
	}
	if f.Result != typed.Missing {
		text += ` (result ` + in.of(f.Result) + `)`
	}
	fmt.Fprintf(&in.text, ` (export "%s" (func%s))`, f.Name, text)
}

var primitives = map[types.Kind]string{
	types.Bool: "bool", types.S8: "s8", types.U8: "u8", types.S16: "s16", types.U16: "u16", types.S32: "s32", types.U32: "u32",
	types.S64: "s64", types.U64: "u64", types.F32: "f32", types.F64: "f64", types.Char: "char", types.String: "string",
}

// of returns the text of a type.
func (in *instanceType) of(index int32) string {
	d := bindings.Table.Types[index]
	elem := func(i int) string {
		if i >= len(d.Elems) || d.Elems[i] == typed.Missing {
			return ""
		}
		return in.of(d.Elems[i])
	}
	switch d.Kind {
	case types.List:
		return "(list " + elem(0) + ")"
	case types.Option:
		return "(option " + elem(1) + ")"
	case types.Tuple:
		text := "(tuple"
		for i := range d.Elems {
			text += " " + elem(i)
		}
		return text + ")"
	case types.Result:
		text := "(result " + elem(0)
		if e := elem(1); e != "" {
			text += " (error " + e + ")"
		}
		return text + ")"
	case types.Own:
		return `(own $"` + d.Resource + `")`
	case types.Borrow:
		return `(borrow $"` + d.Resource + `")`
	case types.Record, types.Variant, types.Enum, types.Flags:
		return in.name(index, elem)
	}
	return primitives[d.Kind]
}

// name exports a type that must have a name.
func (in *instanceType) name(index int32, elem func(int) string) string {
	d := bindings.Table.Types[index]
	name := fmt.Sprintf("$t%d", index)
	if in.named[index] {
		return name
	}
	in.named[index] = true
	text := "(" + map[types.Kind]string{types.Record: "record", types.Variant: "variant", types.Enum: "enum", types.Flags: "flags"}[d.Kind]
	for i, l := range d.Labels {
		switch d.Kind {
		case types.Record:
			text += fmt.Sprintf(` (field "%s" %s)`, l, elem(i))
		case types.Variant:
			text += fmt.Sprintf(` (case "%s" %s)`, l, elem(i))
		default:
			text += fmt.Sprintf(` "%s"`, l)
		}
	}
	fmt.Fprintf(&in.text, ` (type %s' %s)) (export "t%d" (type %s (eq %s')))`, name, text, index, name, name)
	return name
}
