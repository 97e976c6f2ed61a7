package validate

import "github.com/krustlet-go/krustlet-wasi/runtime/component/types"

// substitution replaces resource types and names of types in types. A resource type that replaces
// another is never one that a type binds itself: where a type is opened it gets new ones. So
// nothing is replaced in a type that means another thing there.
type substitution struct {
	v         *validator
	resources map[*types.Resource]*types.Resource
	// made are the types that replace others: those that were given, and those that were built.
	made map[typeItem]typeItem
	// renames says that a type of values was given in place of one, under another name.
	renames bool
	// renew are resource types that get a new one each when they are met, which onNew is told.
	renew map[*types.Resource]bool
	onNew func(*types.Resource)
}

func (v *validator) substitution() *substitution {
	return &substitution{v: v, resources: map[*types.Resource]*types.Resource{}, made: map[typeItem]typeItem{}}
}

// idle reports whether nothing will be replaced.
func (s *substitution) idle() bool {
	return len(s.resources) == 0 && len(s.made) == 0 && len(s.renew) == 0
}

func (s *substitution) extern(x extern) extern {
	if t, ok := x.item.(typeItem); ok {
		x.item = s.item(t)
	}
	if x.equals != nil {
		x.equals = s.item(x.equals)
	}
	return x // the type of a core module has neither names nor resources
}

func (s *substitution) item(t typeItem) typeItem {
	switch t := t.(type) {
	case *valueType:
		return s.value(t)
	case *resource:
		return s.resource(t)
	case *funcType:
		return s.function(t)
	case *instanceType:
		return s.instance(t)
	default:
		return s.component(t.(*componentType))
	}
}

// replaced returns what replaces r, or nil.
func (s *substitution) replaced(r *types.Resource) *types.Resource {
	if to := s.resources[r]; to != nil {
		return to
	}
	if !s.renew[r] {
		return nil
	}
	to := &types.Resource{Name: r.Name}
	s.resources[r] = to
	if s.onNew != nil {
		s.onNew(to)
	}
	return to
}

func (s *substitution) resource(r *resource) *resource {
	s.v.spend(1)
	if known, ok := s.made[r]; ok {
		return known.(*resource)
	}
	to := s.replaced(r.of)
	if to == nil {
		return r
	}
	made := &resource{of: to}
	s.made[r] = made
	return made
}

func (s *substitution) value(t *valueType) *valueType {
	if t == nil || !t.handles && !s.renames {
		return t
	}
	s.v.spend(1 + len(t.typ.Labels))
	if known, ok := s.made[t]; ok {
		return known.(*valueType)
	}
	made := *t
	changed := false
	if t.handle != nil {
		made.handle = s.resource(t.handle)
		changed = made.handle != t.handle
	}
	for i, p := range t.parts {
		q := s.value(p)
		if q == p {
			continue
		}
		if !changed {
			made.parts = append([]*valueType(nil), t.parts...)
			changed = true
		}
		made.parts[i] = q
	}
	if !changed {
		s.made[t] = t
		return t
	}
	if t.handles {
		like := types.Type{Kind: t.typ.Kind, Labels: t.typ.Labels, Length: t.typ.Length}
		s.v.shape(&made, like)
	}
	s.made[t] = &made
	return &made
}

func (s *substitution) function(f *funcType) *funcType {
	s.v.spend(1 + len(f.params))
	if !f.handles && !s.renames {
		return f
	}
	if known, ok := s.made[f]; ok {
		return known.(*funcType)
	}
	made := &funcType{params: make([]*valueType, len(f.params)), result: s.value(f.result)}
	changed := made.result != f.result
	labels := make([]string, len(f.params))
	for i, p := range f.params {
		made.params[i] = s.value(p)
		changed = changed || made.params[i] != p
		labels[i] = f.typ.Params[i].Label
	}
	if !changed {
		s.made[f] = f
		return f
	}
	s.v.shapeFunc(made, f.typ.Async, labels)
	s.made[f] = made
	return made
}

func (s *substitution) instance(t *instanceType) *instanceType {
	s.v.spend(1)
	if known, ok := s.made[t]; ok {
		return known.(*instanceType)
	}
	made := t
	if exports, changed := s.externs(&t.exports); changed {
		made = &instanceType{exports: exports, fresh: t.fresh, depth: t.depth}
	}
	s.made[t] = made
	return made
}

func (s *substitution) component(t *componentType) *componentType {
	s.v.spend(1)
	if known, ok := s.made[t]; ok {
		return known.(*componentType)
	}
	made := t
	imports, changed := s.externs(&t.imports)
	exports, changedToo := s.externs(&t.exports)
	if changed || changedToo {
		made = &componentType{imports: imports, exports: exports, depth: t.depth, imported: t.imported, defined: t.defined}
	}
	s.made[t] = made
	return made
}

// externs replaces in imports or exports, and reports whether that changed one.
func (s *substitution) externs(e *externs) (made externs, changed bool) {
	if s.idle() {
		return *e, false
	}
	s.v.spend(len(e.list))
	list := e.list
	for i, x := range e.list {
		y := s.extern(x)
		if y == x {
			continue
		}
		if !changed {
			list = append([]extern(nil), e.list...)
			changed = true
		}
		list[i] = y
	}
	return externs{names: e.names, list: list, byName: e.byName}, changed
}

// open returns the type of an instance that there is: it has new resource types in place of those
// that each instance has as its own.
func (v *validator) open(t *instanceType, onNew func(*types.Resource)) *instanceType {
	if len(t.fresh) == 0 {
		return t
	}
	s := v.substitution()
	s.renew, s.onNew = t.fresh, onNew
	exports, _ := s.externs(&t.exports)
	return &instanceType{exports: exports, depth: t.depth}
}
