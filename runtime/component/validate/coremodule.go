package validate

import (
	"math"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// coreExtern is a core item by its type, or the type of an import or export of a core module.
type coreExtern struct {
	sort    binary.Sort
	typ     *coreType         // of a function or tag
	val     coreVal           // of a table's elements, or a global
	limits  binary.CoreLimits // of a table or memory
	mutable bool              // of a global
}

type coreImport struct {
	module, name string
	coreExtern
}

type coreExport struct {
	name string
	coreExtern
}

func (m *moduleType) export(name string) (x coreExtern, ok bool) {
	i, ok := m.byName[name]
	if !ok {
		return coreExtern{}, false
	}
	return m.exports[i].coreExtern, true
}

func (m *moduleType) addExport(name string, x coreExtern) (ok bool) {
	if _, twice := m.byName[name]; twice {
		return false
	}
	m.byName[name] = len(m.exports)
	m.exports = append(m.exports, coreExport{name, x})
	return true
}

// module reads an embedded core module and returns its type.
func (s *coreScope) module(d *binary.CoreModule) *moduleType {
	c, err := d.Core()
	if err != nil {
		panic(stop{err})
	}
	s.spend(1 + len(c.Imports) + len(c.Exports))
	b := s.moduleScope()
	for _, g := range c.Groups {
		b.define(g)
	}
	for _, i := range c.Imports {
		b.importItem(i)
	}
	for _, e := range c.Exports {
		b.exportItem(e.Name, e.Type)
	}
	return b.module
}

// moduleScope is a module, or a module type, as far as it is known.
type moduleScope struct {
	*coreScope
	types  []*coreType
	module *moduleType
	given  map[[2]string]bool // names of imports
}

func (s *coreScope) moduleScope() *moduleScope {
	return &moduleScope{coreScope: s, module: &moduleType{byName: map[string]int{}}, given: map[[2]string]bool{}}
}

func (b *moduleScope) typeAt(i uint32) *coreType {
	return element(b.validator, b.types, i, binary.SortCoreType)
}

// define adds the types of a recursion group.
func (b *moduleScope) define(group []binary.CoreSubType) {
	space := &coreSpace{v: b.validator, at: b.typeAt, first: uint32(len(b.types))}
	b.types = append(b.types, space.group(group)...)
}

func (b *moduleScope) importItem(i binary.CoreImport) {
	key := [2]string{i.Module, i.Name}
	if b.given[key] {
		b.fail("a core module has two imports %s %s", quoted(i.Module), quoted(i.Name))
	}
	b.given[key] = true
	b.module.imports = append(b.module.imports, coreImport{i.Module, i.Name, b.extern(i.Type)})
}

func (b *moduleScope) exportItem(name string, t binary.CoreExtern) {
	if !b.module.addExport(name, b.extern(t)) {
		b.fail("a core module has two exports %s", quoted(name))
	}
}

// extern returns the type of an import or export.
func (b *moduleScope) extern(t binary.CoreExtern) coreExtern {
	x := coreExtern{sort: t.Sort}
	switch t.Sort {
	case binary.SortCoreFunc, binary.SortCoreTag:
		x.typ = b.typeAt(t.Type)
		if x.typ.fn == nil {
			b.fail("core type %d is not a function's", t.Type)
		}
		if t.Sort == binary.SortCoreTag && len(x.typ.fn.results) > 0 {
			b.fail("a tag has results")
		}
	case binary.SortCoreGlobal:
		x.val, x.mutable = b.val(t.Value), t.Mutable
	case binary.SortCoreTable:
		x.val, x.limits = b.val(t.Value), t.Limits
		b.tableLimits(t.Limits)
	case binary.SortCoreMemory:
		x.limits = t.Limits
		b.memoryLimits(t.Limits)
	default:
		b.fail("an import or export of a core module is %s", aSort(t.Sort))
	}
	return x
}

func (b *moduleScope) val(t binary.CoreValType) coreVal {
	space := &coreSpace{v: b.validator, at: b.typeAt, first: uint32(len(b.types))}
	return space.val(nil, t)
}

func (b *moduleScope) tableLimits(l binary.CoreLimits) {
	if l.HasMax && l.Max < l.Min {
		b.fail("the largest size of a table is less than its smallest")
	}
	if l.Shared {
		b.unsupported("a table is shared")
	}
}

// memoryLimits checks the size of a memory: all its bytes have addresses.
func (b *moduleScope) memoryLimits(l binary.CoreLimits) {
	bits := uint8(32)
	if l.Is64 {
		bits = 64
	}
	most := uint64(math.MaxUint64) // pages of one byte, and addresses of 64 bits
	if l.PageBits <= bits && bits-l.PageBits < 64 {
		most = 1 << (bits - l.PageBits)
	}
	switch {
	case l.Min > most || l.HasMax && l.Max > most:
		b.fail("a memory has more than %d pages", most)
	case l.HasMax && l.Max < l.Min:
		b.fail("the largest size of a memory is less than its smallest")
	case l.Shared && !l.HasMax:
		b.fail("a memory is shared and has no largest size")
	}
}

// coreTypeDef adds core types of a component, or of a type in it.
func (s *coreScope) coreTypeDef(d *binary.CoreTypeDef) {
	if d.Module != nil {
		s.coreTypes = append(s.coreTypes, s.declaredModule(d.Module))
		return
	}
	space := &coreSpace{v: s.validator, at: s.coreTypeAt, first: uint32(len(s.coreTypes))}
	for _, t := range space.group(d.Types) {
		s.coreTypes = append(s.coreTypes, t)
	}
}

// coreTypeAt returns a core type that is not a module's.
func (s *coreScope) coreTypeAt(i uint32) *coreType {
	t, ok := element(s.validator, s.coreTypes, i, binary.SortCoreType).(*coreType)
	if !ok {
		s.fail("core type %d is a module's", i)
	}
	return t
}

func (s *coreScope) moduleTypeAt(i uint32) *moduleType {
	t, ok := element(s.validator, s.coreTypes, i, binary.SortCoreType).(*moduleType)
	if !ok {
		s.fail("core type %d is not a module's", i)
	}
	return t
}

// declaredModule returns the type of modules that declarations make.
func (s *coreScope) declaredModule(d *binary.CoreModuleType) *moduleType {
	b := s.moduleScope()
	for _, x := range d.Decls {
		s.spend(1)
		switch x := x.(type) {
		case *binary.CoreTypeDef:
			if x.Module != nil {
				s.fail("a module type is defined in a module type")
			}
			b.define(x.Types)
		case *binary.CoreAlias:
			b.types = append(b.types, b.alias(x))
		case *binary.CoreImport:
			b.importItem(*x)
		case *binary.CoreExportDecl:
			b.exportItem(x.Name, x.Type)
		}
	}
	return b.module
}

// alias returns a core type of the module type itself, or of a scope around it.
func (b *moduleScope) alias(d *binary.CoreAlias) *coreType {
	if d.Count == 0 {
		return b.typeAt(d.Index)
	}
	from := b.coreScope
	for range d.Count - 1 {
		if from = from.outer; from == nil {
			b.fail("an alias leads out of %d components and types, and there are fewer", d.Count)
		}
	}
	t, ok := element(b.validator, from.coreTypes, d.Index, binary.SortCoreType).(*coreType)
	if !ok {
		b.fail("an alias in a module type is of a module type")
	}
	return t
}
