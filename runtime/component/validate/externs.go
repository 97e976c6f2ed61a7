package validate

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// declared returns an item of a type that an import or export says. onNew is told the resource
// types that it brings.
func (s *scope) declared(t binary.ExternType, onNew func(*types.Resource)) extern {
	switch t.Sort {
	case binary.SortCoreModule:
		return extern{sort: t.Sort, item: s.moduleTypeAt(t.Index)}
	case binary.SortFunc:
		f, ok := s.typeAt(t.Index).(*funcType)
		if !ok {
			s.wrongType(t.Index, "a function type")
		}
		return extern{sort: t.Sort, item: f}
	case binary.SortComponent:
		c, ok := s.typeAt(t.Index).(*componentType)
		if !ok {
			s.wrongType(t.Index, "a component type")
		}
		return extern{sort: t.Sort, item: c}
	case binary.SortInstance:
		i, ok := s.typeAt(t.Index).(*instanceType)
		if !ok {
			s.wrongType(t.Index, "an instance type")
		}
		return extern{sort: t.Sort, item: s.open(i, onNew)}
	case binary.SortType:
		if t.Resource {
			r := &resource{of: &types.Resource{}}
			onNew(r.of)
			return extern{sort: t.Sort, item: r}
		}
		of := s.typeAt(t.Index)
		return extern{sort: t.Sort, item: named(of), equals: of}
	}
	s.fail("imports and exports are not of %s", aSort(t.Sort))
	return extern{}
}

func (s *scope) wrongType(index uint32, want string) {
	s.fail("type %d is %s, not %s", index, typeName(s.typeAt(index)), want)
}

// importItem adds an import, of a component or a type of components.
func (s *scope) importItem(name binary.ExternName, t binary.ExternType) {
	x := s.declared(t, func(r *types.Resource) { s.imported[r] = true })
	s.put(s.imports, name, x)
	s.reveal(s.imports, name.Name, x)
	s.add(x)
}

// declareExport adds an export of a type of components or instances.
func (s *scope) declareExport(d *binary.ExportDecl) {
	if s.kind == ofComponent {
		s.fail("a component declares an export")
	}
	s.putExport(d.Name, s.declared(d.Type, s.noteDefined))
}

// noteDefined notes a resource type that came up here.
func (s *scope) noteDefined(r *types.Resource) { s.defined[r] = true }

// exportItem adds an export of a component. The item that it makes has the type that it is said to
// have, which may tell less than its own.
func (s *scope) exportItem(d *binary.Export) {
	have := s.item(d.Ref)
	if d.Type == nil {
		if have.sort == binary.SortType {
			have.item = named(have.item.(typeItem))
		}
		s.putExport(d.Name, have)
		return
	}
	told := map[*types.Resource]bool{}
	x := s.declared(*d.Type, func(r *types.Resource) { told[r], s.defined[r] = true, true })
	if why := s.matching(told).extern(have, x); why != "" {
		s.fail("export %s is not of the type that it is said to have: %s", quoted(d.Name.Name), why)
	}
	s.putExport(d.Name, x)
}

func (s *scope) putExport(name binary.ExternName, x extern) {
	s.put(s.exports, name, x)
	s.reveal(s.exports, name.Name, x)
	s.add(x)
}

// instantiate returns the type of an instance of a component.
func (s *scope) instantiate(d *binary.Instantiate) *instanceType {
	c := s.componentAt(d.Component)
	s.spend(len(d.Args))
	args := make(map[string]extern, len(d.Args))
	for _, a := range d.Args {
		if _, twice := args[a.Name]; twice {
			s.fail("two arguments for a component have the name %s", quoted(a.Name))
		}
		args[a.Name] = s.item(a.Ref)
	}
	given := func(name string) (extern, bool) {
		x, ok := args[name]
		return x, ok
	}
	exports, why := s.instantiated(c, given, s.noteDefined)
	if why != "" {
		s.fail("instantiating component %d: %s", d.Component, why)
	}
	return &instanceType{exports: exports, depth: c.depth}
}

// bundle returns the type of an instance that is made of items.
func (s *scope) bundle(d *binary.Bundle) *instanceType {
	s.spend(len(d.Exports))
	exports := newSide("export")
	exports.bundle = true
	for _, x := range d.Exports {
		s.put(exports, x.Name, s.item(x.Ref))
	}
	return &instanceType{exports: exports.externs, depth: s.deep(1 + exports.depth())}
}
