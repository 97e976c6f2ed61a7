package validate

import (
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// coreScope has the index spaces of a scope that are of the core.
type coreScope struct {
	*validator
	outer         *coreScope // or nil
	core          [binary.SortCoreTag + 1][]coreExtern
	coreTypes     []coreTypeItem
	coreInstances []*coreInstance
	modules       []*moduleType
}

func (s *coreScope) moduleAt(i uint32) *moduleType {
	return element(s.validator, s.modules, i, binary.SortCoreModule)
}

// coreInstance is a core instance: a module's, or a bundle of items. What it exports is all that is
// known of it.
type coreInstance struct{ *moduleType }

func (s *coreScope) coreInstanceAt(i uint32) *coreInstance {
	return element(s.validator, s.coreInstances, i, binary.SortCoreInstance)
}

// coreItem returns a core item of the sorts that modules export.
func (s *coreScope) coreItem(r binary.Ref) coreExtern {
	if r.Sort > binary.SortCoreTag {
		s.fail("%s cannot be an export of a core instance", aSort(r.Sort))
	}
	return element(s.validator, s.core[r.Sort], r.Index, r.Sort)
}

func (s *coreScope) addCore(x coreExtern) { s.core[x.sort] = append(s.core[x.sort], x) }

func (s *coreScope) addCoreFunc(f coreFunc) {
	s.addCore(coreExtern{sort: binary.SortCoreFunc, typ: s.coreFunction(f)})
}

// coreInstantiate checks that a core module is given all that it imports.
func (s *coreScope) coreInstantiate(d *binary.CoreInstantiate) *coreInstance {
	m := s.moduleAt(d.Module)
	args := make(map[string]*coreInstance, len(d.Args))
	s.spend(len(d.Args) + len(m.imports))
	for _, a := range d.Args {
		if _, twice := args[a.Name]; twice {
			s.fail("two arguments for a core module have the name %s", quoted(a.Name))
		}
		args[a.Name] = s.coreInstanceAt(a.Instance)
	}
	for _, i := range m.imports {
		arg, ok := args[i.module]
		if !ok {
			s.fail("core module %d gets nothing for its imports from %s", d.Module, quoted(i.module))
		}
		x, ok := arg.export(i.name)
		if !ok {
			s.fail("core module %d imports %s from %s, where there is no export with the name", d.Module, quoted(i.name), quoted(i.module))
		}
		if why := matchCore(x, i.coreExtern); why != "" {
			s.fail("core module %d imports %s from %s, and what is there does not fit: %s", d.Module, quoted(i.name), quoted(i.module), why)
		}
		if i.sort == binary.SortCoreTag {
			s.unsupported("core module %d imports an exception tag, which is not supported", d.Module)
		}
	}
	return &coreInstance{m}
}

// coreBundle returns an instance that is made of items.
func (s *coreScope) coreBundle(d *binary.CoreBundle) *coreInstance {
	s.spend(len(d.Exports))
	m := &moduleType{byName: make(map[string]int, len(d.Exports))}
	for _, x := range d.Exports {
		if !m.addExport(x.Name, s.coreItem(x.Ref)) {
			s.fail("two exports of a core instance have the name %s", quoted(x.Name))
		}
	}
	return &coreInstance{m}
}

func (s *coreScope) aliasCoreExport(d *binary.AliasCoreExport) {
	x, ok := s.coreInstanceAt(d.Instance).export(d.Name)
	if !ok {
		s.fail("core instance %d has no export %s", d.Instance, quoted(d.Name))
	}
	if x.sort != d.Sort {
		s.fail("export %s of core instance %d is %s, not %s", quoted(d.Name), d.Instance, aSort(x.sort), aSort(d.Sort))
	}
	if x.sort == binary.SortCoreTag {
		s.unsupported("an exception tag is taken from a core instance, which is not supported")
	}
	s.addCore(x)
}

// coreFuncHas checks that a core function has exactly that type.
func (s *coreScope) coreFuncHas(index uint32, what string, want coreFunc) {
	f := element(s.validator, s.core[binary.SortCoreFunc], index, binary.SortCoreFunc).typ.fn
	if !slices.Equal(f.params, want.params) || !slices.Equal(f.results, want.results) {
		s.fail("core function %d is not of the type that %s has", index, what)
	}
}
