package validate

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// reveal checks that an import or export uses no type that has no name outside, and gives names to
// the types that it brings. Types of instances are checked where there is an instance of them.
func (s *scope) reveal(to *side, name string, x extern) {
	if s.kind == ofInstanceType {
		return
	}
	w := &nameWalk{v: s.validator, side: to}
	if to == s.imports {
		w.also = s.exports
	}
	if !w.reveal(x) {
		s.fail("%s %s uses a type that has no %s of its own before", to.what, quoted(name), to.what)
	}
}

// nameWalk looks at the names that types use.
type nameWalk struct {
	v    *validator
	side *side
	also *side // where types get names too, or nil
	// within are names that an instance type gives to what follows in it.
	within map[typeItem]bool
}

func (w *nameWalk) reveal(x extern) bool {
	w.v.spend(1)
	switch x.sort {
	case binary.SortFunc:
		return w.uses(x.item.(typeItem))
	case binary.SortType:
		t := x.item.(typeItem)
		if !w.uses(t) || w.isExported(x.equals) {
			return false
		}
		w.side.names[t] = true
		if w.also != nil {
			w.also.names[t] = true
		}
	case binary.SortInstance:
		for _, y := range x.item.(*instanceType).exports.list {
			if !w.reveal(y) {
				return false
			}
		}
	}
	return true // what components and modules use is their own
}

// isExported reports whether a type that an import is said to be is one that has a name only as an
// export: imports come before exports.
func (w *nameWalk) isExported(t typeItem) bool {
	return t != nil && w.also != nil && w.also.names[t] && !w.side.names[t]
}

// uses reports whether all types with names that a type is made of have one. Its own does not
// count.
func (w *nameWalk) uses(t typeItem) bool {
	w.v.spend(1)
	switch t := t.(type) {
	case *valueType:
		if t.handle != nil && !w.known(t.handle) {
			return false
		}
		return w.named(t.parts)
	case *funcType:
		return w.named(t.params) && w.named([]*valueType{t.result})
	case *instanceType:
		return w.declared(t)
	}
	return true
}

// declared looks at the exports of an instance type that no instance is of yet.
func (w *nameWalk) declared(t *instanceType) bool {
	inner := &nameWalk{v: w.v, side: w.side, within: map[typeItem]bool{}}
	for n := range w.within {
		inner.within[n] = true
	}
	return inner.exports(&t.exports)
}

func (w *nameWalk) exports(e *externs) bool {
	for _, x := range e.list {
		w.v.spend(1)
		switch x.sort {
		case binary.SortFunc:
			if !w.uses(x.item.(typeItem)) {
				return false
			}
		case binary.SortType:
			if !w.uses(x.item.(typeItem)) {
				return false
			}
			w.within[x.item.(typeItem)] = true
		case binary.SortInstance:
			if !w.exports(&x.item.(*instanceType).exports) {
				return false
			}
		}
	}
	return true
}

func (w *nameWalk) known(t typeItem) bool { return w.side.names[t] || w.within[t] }

// named reports whether types have names, or need none and are made of such.
func (w *nameWalk) named(list []*valueType) bool {
	for _, t := range list {
		if t == nil || t.parts == nil && t.handle == nil && t.typ.Kind != types.Enum && t.typ.Kind != types.Flags {
			continue
		}
		w.v.spend(1)
		switch t.typ.Kind {
		case types.Record, types.Variant, types.Enum, types.Flags:
			if !w.known(t) {
				return false
			}
			continue
		}
		if w.side.checked[t] {
			continue
		}
		if !w.uses(t) {
			return false
		}
		if w.within == nil {
			w.side.checked[t] = true
		}
	}
	return true
}
