package validate

import "github.com/krustlet-go/krustlet-wasi/runtime/component/types"

// hasResources reports whether a type refers to a resource type that it does not bring itself.
func (v *validator) hasResources(t typeItem) bool {
	w := &resourceWalk{v: v, seen: map[typeItem]bool{}, bound: map[*types.Resource]bool{}, used: map[*types.Resource]bool{}}
	w.item(t)
	for r := range w.used {
		if !w.bound[r] {
			return true
		}
	}
	return false
}

// resourceWalk collects the resource types that a type refers to, and those that it brings: no
// other type can refer to those.
type resourceWalk struct {
	v           *validator
	seen        map[typeItem]bool
	bound, used map[*types.Resource]bool
}

func (w *resourceWalk) item(t typeItem) {
	w.v.spend(1)
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	switch t := t.(type) {
	case *valueType:
		if t.handle != nil {
			w.item(t.handle)
		}
		w.values(t.parts)
	case *resource:
		w.used[t.of] = true
	case *funcType:
		w.values(t.params)
		w.values([]*valueType{t.result})
	case *instanceType:
		w.bind(t.fresh)
		w.externs(&t.exports)
	case *componentType:
		w.bind(t.imported)
		w.bind(t.defined)
		w.externs(&t.imports)
		w.externs(&t.exports)
	}
}

func (w *resourceWalk) values(list []*valueType) {
	for _, t := range list {
		if t != nil && t.handles {
			w.item(t)
		}
	}
}

func (w *resourceWalk) bind(resources map[*types.Resource]bool) {
	w.v.spend(len(resources))
	for r := range resources {
		w.bound[r] = true
	}
}

func (w *resourceWalk) externs(e *externs) {
	for _, x := range e.list {
		if t, ok := x.item.(typeItem); ok {
			w.item(t)
		}
	}
}
