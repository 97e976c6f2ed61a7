package validate

import "github.com/krustlet-go/krustlet-wasi/runtime/component/types"

// constructor reports why a function may not be the constructor of a resource type.
func (s *side) constructor(n externName, f *funcType) (why string) {
	r := f.result
	if r != nil && r.typ.Kind == types.Result {
		r = r.parts[0]
	}
	if r == nil || r.typ.Kind != types.Own {
		return "a constructor returns a handle that owns its resource, or a result with one"
	}
	return s.isOf(r.handle, n.resource)
}

// method reports why a function may not be a method of a resource type.
func (s *side) method(n externName, f *funcType) (why string) {
	if len(f.params) == 0 || f.typ.Params[0].Label != "self" {
		return `a method's first parameter has the name "self"`
	}
	if f.params[0].typ.Kind != types.Borrow {
		return "a method's first parameter is a borrow handle of its resource"
	}
	return s.isOf(f.params[0].handle, n.resource)
}

// isOf reports why a resource type does not have that name.
func (s *side) isOf(r *resource, name string) (why string) {
	switch label, ok := s.labels[r]; {
	case !ok:
		return "the function's resource type has no name here"
	case label != name:
		return "the function's resource type has another name"
	}
	return ""
}
