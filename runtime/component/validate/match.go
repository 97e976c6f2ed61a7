package validate

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// matching compares items that there are with imports or exports that are wanted, in their order. A
// resource type that is wanted and not yet known becomes the one that there is, and replaces it in
// all that follows.
type matching struct {
	v      *validator
	s      *substitution
	wanted map[*types.Resource]bool // resource types that become known
}

func (v *validator) matching(wanted map[*types.Resource]bool) *matching {
	return &matching{v: v, s: v.substitution(), wanted: wanted}
}

// extern reports why an item is not what is wanted; it returns "" if it is.
func (m *matching) extern(have, want extern) (why string) {
	m.v.spend(1)
	if have.sort != want.sort {
		return fmt.Sprintf("it is %s, and %s is wanted", aSort(have.sort), aSort(want.sort))
	}
	switch want.sort {
	case binary.SortCoreModule:
		return m.v.matchModule(have.item.(*moduleType), want.item.(*moduleType))
	case binary.SortFunc:
		return m.function(have.item.(*funcType), want.item.(*funcType))
	case binary.SortComponent:
		return m.v.matchComponent(have.item.(*componentType), m.s.component(want.item.(*componentType)))
	case binary.SortInstance:
		return m.exports(&have.item.(*instanceType).exports, &want.item.(*instanceType).exports)
	}
	return m.typ(have.item.(typeItem), want.item.(typeItem))
}

// exports compares the exports of an instance with those that are wanted.
func (m *matching) exports(have, want *externs) (why string) {
	for i, x := range want.list {
		name := want.names[i]
		y, ok := have.get(name)
		if !ok {
			return fmt.Sprintf("it has no export %s", quoted(name))
		}
		if why := m.extern(y, x); why != "" {
			return fmt.Sprintf("export %s: %s", quoted(name), why)
		}
	}
	return ""
}

func (m *matching) function(have, want *funcType) (why string) {
	if m.s.function(want).typ != have.typ {
		return "its function type is another"
	}
	return ""
}

// typ compares a type with the bound of one that is wanted, and remembers it as the one meant.
func (m *matching) typ(have, want typeItem) (why string) {
	switch want := want.(type) {
	case *valueType:
		h, ok := have.(*valueType)
		if !ok || h.typ != m.s.value(want).typ {
			return "the types are not equal"
		}
		m.s.made[want], m.s.renames = h, true
		return ""
	case *resource:
		return m.resource(have, want)
	case *funcType:
		h, ok := have.(*funcType)
		if !ok {
			return fmt.Sprintf("it is %s, and a function type is wanted", typeName(have))
		}
		if why := m.function(h, want); why != "" {
			return why
		}
	case *instanceType:
		h, ok := have.(*instanceType)
		if !ok || !m.v.equalInstances(h, m.s.instance(want)) {
			return "the types are not equal"
		}
	case *componentType:
		h, ok := have.(*componentType)
		w := m.s.component(want)
		if !ok || m.v.matchComponent(h, w) != "" || m.v.matchComponent(w, h) != "" {
			return "the types are not equal"
		}
	}
	m.s.made[want] = have
	return ""
}

func (m *matching) resource(have typeItem, want *resource) (why string) {
	h, ok := have.(*resource)
	if !ok {
		return fmt.Sprintf("it is %s, and a resource type is wanted", typeName(have))
	}
	known := m.s.replaced(want.of)
	switch {
	case known == nil && m.wanted[want.of]:
		m.s.resources[want.of] = h.of
	case known == nil && want.of != h.of, known != nil && known != h.of:
		return "the resource types are not the same"
	}
	m.s.made[want] = h
	return ""
}

// matchInstances reports why an instance of type a is not one of type b.
func (v *validator) matchInstances(a, b *instanceType) (why string) {
	if a == b {
		return ""
	}
	a = v.open(a, nil)
	return v.matching(b.fresh).exports(&a.exports, &b.exports)
}

func (v *validator) equalInstances(a, b *instanceType) bool {
	return v.matchInstances(a, b) == "" && v.matchInstances(b, a) == ""
}

// matchComponent reports why a component of type a is not one of type b: with what b is given it
// must give what b gives.
func (v *validator) matchComponent(a, b *componentType) (why string) {
	v.spend(1)
	if a == b {
		return ""
	}
	s := v.substitution()
	s.renew = b.imported
	imports, _ := s.externs(&b.imports)
	exports, _ := s.externs(&b.exports)
	given, why := v.instantiated(a, imports.get, nil)
	if why != "" {
		return why
	}
	return v.matching(b.defined).exports(&given, &exports)
}

// instantiated returns what an instance of a component exports that is given these items. onNew is
// told the resource types that the instance has as its own.
func (v *validator) instantiated(c *componentType, given func(name string) (extern, bool), onNew func(*types.Resource)) (exports externs, why string) {
	m := v.matching(c.imported)
	m.s.renew, m.s.onNew = c.defined, onNew
	for i, want := range c.imports.list {
		name := c.imports.names[i]
		have, ok := given(name)
		if !ok {
			return externs{}, fmt.Sprintf("it gets nothing for its import %s", quoted(name))
		}
		if why := m.extern(have, want); why != "" {
			return externs{}, fmt.Sprintf("what it gets for its import %s does not fit: %s", quoted(name), why)
		}
	}
	exports, _ = m.s.externs(&c.exports)
	return exports, ""
}
