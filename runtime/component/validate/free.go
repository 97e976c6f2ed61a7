package validate

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// hasResources reports whether a type refers to a resource type that it does not bring itself.
func (v *validator) hasResources(t typeItem) bool {
	w := v.resourceWalk()
	w.item(t)
	for r := range w.used {
		if !w.bound[r] {
			return true
		}
	}
	return false
}

// checkResources checks that a component's imports refer to no resource type of its own, and that
// its exports refer only to those of its own that it exports.
func (v *validator) checkResources(t *componentType) {
	if len(t.defined) == 0 {
		return
	}
	imports, exports := v.resourceWalk(), v.resourceWalk()
	imports.externs(&t.imports)
	exports.externs(&t.exports)
	exported := map[*types.Resource]bool{}
	v.exportedResources(&t.exports, exported)
	for r := range t.defined {
		switch {
		case imports.used[r]:
			v.fail("an import of a component refers to a resource type that the component defines")
		case exports.used[r] && !exported[r]:
			v.fail("an export of a component refers to a resource type that the component does not export")
		}
	}
}

func (v *validator) exportedResources(e *externs, into map[*types.Resource]bool) {
	v.spend(len(e.list))
	for _, x := range e.list {
		switch t := x.item.(type) {
		case *resource:
			into[t.of] = true
		case *instanceType:
			if x.sort == binary.SortInstance {
				v.exportedResources(&t.exports, into)
			}
		}
	}
}

func (v *validator) resourceWalk() *resourceWalk {
	return &resourceWalk{v: v, seen: map[typeItem]bool{}, bound: map[*types.Resource]bool{}, used: map[*types.Resource]bool{}}
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
