package validate

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// scopeKind is what a scope is of.
type scopeKind uint8

const (
	ofComponent scopeKind = iota
	ofComponentType
	ofInstanceType
)

// scope has the index spaces of a component, or of a type of components or instances, as far as its
// definitions were looked at.
type scope struct {
	coreScope
	kind   scopeKind
	around *scope // or nil

	funcs      []*funcType
	typeSpace  []typeItem
	components []*componentType
	instances  []*instanceType

	imports, exports *side
	// imported are the resource types of imports. defined are all others that came up here:
	// those of resource definitions, of component instances and of exports whose type hides
	// which one it is.
	imported, defined map[*types.Resource]bool
	// local are those of resource definitions.
	local map[*types.Resource]bool
}

func (v *validator) newScope(kind scopeKind, around *scope) *scope {
	s := &scope{
		coreScope: coreScope{validator: v}, kind: kind, around: around, imports: newSide("import"), exports: newSide("export"),
		imported: map[*types.Resource]bool{}, defined: map[*types.Resource]bool{}, local: map[*types.Resource]bool{},
	}
	if around != nil {
		s.outer = &around.coreScope
	}
	return s
}

// component looks at the definitions of a component and returns its type.
func (v *validator) component(around *scope, c *binary.Component) *componentType {
	s := v.newScope(ofComponent, around)
	for _, d := range c.Definitions {
		s.define(d)
	}
	v.at = c.At
	return s.componentType()
}

// componentType returns the type that a scope is of.
func (s *scope) componentType() *componentType {
	t := &componentType{
		imports: s.imports.externs, exports: s.exports.externs, imported: s.imported, defined: s.defined,
	}
	t.depth = s.deep(1 + max(t.imports.depth(), t.exports.depth()))
	s.checkResources(t)
	return t
}

// define looks at a definition.
func (s *scope) define(d binary.Definition) {
	s.spend(1)
	switch d := d.(type) {
	case *binary.CoreModule:
		s.at = d.At
		s.modules = append(s.modules, s.module(d))
	case *binary.CoreInstantiate:
		s.at = d.At
		s.coreInstances = append(s.coreInstances, s.coreInstantiate(d))
	case *binary.CoreBundle:
		s.at = d.At
		s.coreInstances = append(s.coreInstances, s.coreBundle(d))
	case *binary.AliasCoreExport:
		s.at = d.At
		s.aliasCoreExport(d)
	case *binary.Component:
		s.components = append(s.components, s.validator.component(s, d))
	case *binary.Instantiate:
		s.at = d.At
		s.instances = append(s.instances, s.instantiate(d))
	case *binary.Bundle:
		s.at = d.At
		s.instances = append(s.instances, s.bundle(d))
	case *binary.Lift:
		s.at = d.At
		s.funcs = append(s.funcs, canon{s}.lift(d))
	case *binary.Lower:
		s.at = d.At
		s.addCoreFunc(canon{s}.lower(d))
	case *binary.Builtin:
		s.at = d.At
		s.addCoreFunc(canon{s}.builtin(d))
	case *binary.Import:
		s.at = d.At
		s.importItem(d.Name, d.Type)
	case *binary.Export:
		s.at = d.At
		s.exportItem(d)
	case binary.Declaration:
		s.declare(d)
	default:
		s.fail("a definition of an unknown kind")
	}
}

// declare looks at a definition that types of components and instances have too.
func (s *scope) declare(d binary.Declaration) {
	s.spend(1)
	switch d := d.(type) {
	case *binary.CoreTypeDef:
		s.at = d.At
		s.coreTypeDef(d)
	case *binary.TypeDef:
		s.at = d.At
		s.typeSpace = append(s.typeSpace, typeDefs{s}.typeDef(d.Type))
	case *binary.AliasExport:
		s.at = d.At
		s.aliasExport(d)
	case *binary.AliasOuter:
		s.at = d.At
		s.aliasOuter(d)
	case *binary.ImportDecl:
		s.at = d.At
		if s.kind != ofComponentType {
			s.fail("a type of instances has an import")
		}
		s.importItem(d.Name, d.Type)
	case *binary.ExportDecl:
		s.at = d.At
		s.declareExport(d)
	default:
		s.fail("a declaration of an unknown kind")
	}
}

// element returns an element of an index space.
func element[T any](v *validator, space []T, index uint32, sort binary.Sort) T {
	if uint64(index) >= uint64(len(space)) {
		v.fail("there is no %s %d", sortName(sort), index)
	}
	return space[index]
}

func (s *scope) funcAt(i uint32) *funcType { return element(s.validator, s.funcs, i, binary.SortFunc) }
func (s *scope) typeAt(i uint32) typeItem {
	return element(s.validator, s.typeSpace, i, binary.SortType)
}
func (s *scope) componentAt(i uint32) *componentType {
	return element(s.validator, s.components, i, binary.SortComponent)
}
func (s *scope) instanceAt(i uint32) *instanceType {
	return element(s.validator, s.instances, i, binary.SortInstance)
}

func (s *scope) resourceAt(i uint32) *resource {
	t := s.typeAt(i)
	r, ok := t.(*resource)
	if !ok {
		s.fail("type %d is %s, not a resource type", i, typeName(t))
	}
	return r
}

// item returns what a reference refers to: an item that instances of components have.
func (s *scope) item(r binary.Ref) extern {
	switch r.Sort {
	case binary.SortCoreModule:
		return extern{sort: r.Sort, item: s.moduleAt(r.Index)}
	case binary.SortFunc:
		return extern{sort: r.Sort, item: s.funcAt(r.Index)}
	case binary.SortType:
		return extern{sort: r.Sort, item: s.typeAt(r.Index)}
	case binary.SortComponent:
		return extern{sort: r.Sort, item: s.componentAt(r.Index)}
	case binary.SortInstance:
		return extern{sort: r.Sort, item: s.instanceAt(r.Index)}
	}
	s.fail("%s cannot leave its component", aSort(r.Sort))
	return extern{}
}

// add appends an item to the index space of its sort.
func (s *scope) add(x extern) {
	switch x.sort {
	case binary.SortCoreModule:
		s.modules = append(s.modules, x.item.(*moduleType))
	case binary.SortFunc:
		s.funcs = append(s.funcs, x.item.(*funcType))
	case binary.SortType:
		s.typeSpace = append(s.typeSpace, x.item.(typeItem))
	case binary.SortComponent:
		s.components = append(s.components, x.item.(*componentType))
	case binary.SortInstance:
		s.instances = append(s.instances, x.item.(*instanceType))
	}
}

func (s *scope) aliasExport(d *binary.AliasExport) {
	if s.kind != ofComponent && d.Sort != binary.SortType && d.Sort != binary.SortInstance {
		s.fail("an alias in a type is of %s, and may only be of a type or an instance", aSort(d.Sort))
	}
	x, ok := s.instanceAt(d.Instance).exports.get(d.Name)
	if !ok {
		s.fail("instance %d has no export %s", d.Instance, quoted(d.Name))
	}
	if x.sort != d.Sort {
		s.fail("export %s of instance %d is %s, not %s", quoted(d.Name), d.Instance, aSort(x.sort), aSort(d.Sort))
	}
	s.add(x)
}

func (s *scope) aliasOuter(d *binary.AliasOuter) {
	if s.kind != ofComponent && d.Sort != binary.SortType && d.Sort != binary.SortCoreType {
		s.fail("an outer alias in a type is of %s, and may only be of a type or a core type", aSort(d.Sort))
	}
	from, leaves := s, false
	for range d.Count {
		leaves = leaves || from.kind == ofComponent
		if from = from.around; from == nil {
			s.fail("an alias leads out of %d components and types, and there are fewer", d.Count)
		}
	}
	switch d.Sort {
	case binary.SortCoreType:
		s.coreTypes = append(s.coreTypes, element(s.validator, from.coreTypes, d.Index, d.Sort))
	case binary.SortCoreModule:
		s.add(extern{sort: d.Sort, item: element(s.validator, from.modules, d.Index, d.Sort)})
	case binary.SortComponent:
		s.add(extern{sort: d.Sort, item: element(s.validator, from.components, d.Index, d.Sort)})
	case binary.SortType:
		t := element(s.validator, from.typeSpace, d.Index, d.Sort)
		if leaves && s.hasResources(t) {
			s.fail("an alias leads out of a component to a type that refers to resources")
		}
		s.add(extern{sort: d.Sort, item: t})
	default:
		s.fail("an outer alias is of %s", aSort(d.Sort))
	}
}
