package validate

import (
	"fmt"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// oracle finds out by itself, and much simpler than validation, what core functions are of a valid
// component: by following aliases and bundles to the modules that export them. It looks at what is
// called without a check afterwards.
type oracle struct {
	modules   []*binary.Core // nil for one that is imported
	instances []map[string]traced
	items     [binary.SortCoreTag + 1][]traced
	types     []binary.DefType // nil for one that is not defined here
}

// traced is a core item. A function's kinds are not known if it is a canonical definition's, or an
// imported module's.
type traced struct {
	sort            binary.Sort
	known           bool
	params, results []binary.CoreKind
}

// check returns what is wrong in a component that passed.
func check(c *binary.Component) error {
	o := &oracle{}
	for _, d := range c.Definitions {
		if err := o.define(d); err != nil {
			return fmt.Errorf("%T %+v: %w", d, d, err)
		}
	}
	return nil
}

func (o *oracle) define(d binary.Definition) error {
	switch d := d.(type) {
	case *binary.Component:
		return check(d)
	case *binary.CoreModule:
		m, err := d.Core()
		o.modules = append(o.modules, m)
		return err
	case *binary.CoreInstantiate:
		return o.instantiate(d)
	case *binary.CoreBundle:
		exports := map[string]traced{}
		for _, x := range d.Exports {
			exports[x.Name] = o.items[x.Sort][x.Index]
		}
		o.instances = append(o.instances, exports)
	case *binary.AliasCoreExport:
		instance := o.instances[d.Instance]
		x, ok := instance[d.Name]
		if instance == nil {
			x, ok = traced{sort: d.Sort}, true
		}
		if !ok || x.sort != d.Sort {
			return fmt.Errorf("it aliases %+v", x)
		}
		o.items[d.Sort] = append(o.items[d.Sort], x)
	case *binary.Lower, *binary.Builtin:
		o.items[binary.SortCoreFunc] = append(o.items[binary.SortCoreFunc], traced{sort: binary.SortCoreFunc})
	case *binary.Lift:
		return o.lift(d)
	case *binary.TypeDef:
		o.types = append(o.types, d.Type)
		if r, ok := d.Type.(*binary.Resource); ok && r.Destructor != nil {
			return o.has(*r.Destructor, 1, 0)
		}
	case *binary.Import:
		o.imported(d.Type.Sort)
	case *binary.Export:
		o.imported(d.Sort)
	case *binary.AliasExport:
		o.imported(d.Sort)
	case *binary.AliasOuter:
		o.imported(d.Sort)
	}
	return nil
}

// imported notes a module or type that is not defined here.
func (o *oracle) imported(s binary.Sort) {
	switch s {
	case binary.SortCoreModule:
		o.modules = append(o.modules, nil)
	case binary.SortType:
		o.types = append(o.types, nil)
	}
}

func (o *oracle) instantiate(d *binary.CoreInstantiate) error {
	m := o.modules[d.Module]
	if m == nil {
		o.instances = append(o.instances, nil)
		return nil
	}
	var list []binary.CoreSubType
	for _, g := range m.Groups {
		list = append(list, g...)
	}
	exports := map[string]traced{}
	for _, x := range m.Exports {
		exports[x.Name] = trace(list, x.Type)
	}
	o.instances = append(o.instances, exports)
	for _, i := range m.Imports {
		want := trace(list, i.Type)
		for _, a := range d.Args {
			if a.Name != i.Module || o.instances[a.Instance] == nil {
				continue
			}
			have, ok := o.instances[a.Instance][i.Name]
			if !ok || have.sort != want.sort || have.known && want.known && (!slices.Equal(have.params, want.params) || !slices.Equal(have.results, want.results)) {
				return fmt.Errorf("import %s gets %+v", i.Name, have)
			}
		}
	}
	return nil
}

func trace(list []binary.CoreSubType, t binary.CoreExtern) traced {
	x := traced{sort: t.Sort}
	if t.Sort != binary.SortCoreFunc {
		return x
	}
	f := list[t.Type].Type.(*binary.CoreFuncType)
	x.known = true
	for _, p := range f.Params {
		x.params = append(x.params, p.Kind)
	}
	for _, r := range f.Results {
		x.results = append(x.results, r.Kind)
	}
	return x
}

// has checks that a core function has that many parameters and results, all i32.
func (o *oracle) has(index uint32, params, results int) error {
	f := o.items[binary.SortCoreFunc][index]
	if !f.known {
		return nil
	}
	i32s := func(list []binary.CoreKind, n int) bool {
		return len(list) == n && !slices.ContainsFunc(list, func(k binary.CoreKind) bool { return k != binary.CoreI32 })
	}
	if !i32s(f.params, params) || !i32s(f.results, results) {
		return fmt.Errorf("core function %d has %v and %v", index, f.params, f.results)
	}
	return nil
}

func (o *oracle) lift(d *binary.Lift) error {
	f := o.items[binary.SortCoreFunc][d.CoreFunc]
	for _, option := range []struct {
		index           *uint32
		params, results int
	}{{d.Options.Realloc, 4, 1}, {d.Options.Callback, 3, 1}} {
		if option.index == nil {
			continue
		}
		if err := o.has(*option.index, option.params, option.results); err != nil {
			return err
		}
	}
	if p := d.Options.PostReturn; p != nil {
		post := o.items[binary.SortCoreFunc][*p]
		if f.known && post.known && (!slices.Equal(post.params, f.results) || len(post.results) > 0) {
			return fmt.Errorf("post-return has %v", post.params)
		}
	}
	params, results, known := o.liftedType(d)
	if known && f.known && (!slices.Equal(f.params, params) || !slices.Equal(f.results, results)) {
		return fmt.Errorf("the function has %v and %v, want %v and %v", f.params, f.results, params, results)
	}
	return nil
}
