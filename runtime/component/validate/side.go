package validate

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// side is the imports or the exports of a scope, or the exports of a bundle.
type side struct {
	externs
	what string // "import" or "export"
	// bundle says that it is a bundle's, where resource types get no names.
	bundle bool
	keys   map[string]string // names by their keys
	// names are the types that are imported or exported, or exported by an instance that is. Of
	// types with a name others may only use these.
	names map[typeItem]bool
	// checked are types that are made only of types that may be used.
	checked map[typeItem]bool
	// labels are the names of resource types, labelled tells whether there is one.
	labels   map[*resource]string
	labelled map[string]bool
}

func newSide(what string) *side {
	return &side{
		what: what, keys: map[string]string{}, names: map[typeItem]bool{}, checked: map[typeItem]bool{},
		labels: map[*resource]string{}, labelled: map[string]bool{},
	}
}

// put adds an import or export, if it may have the name.
func (v *validator) put(s *side, name binary.ExternName, x extern) {
	n, why := parseName(name.Name)
	if why != "" {
		v.fail("%s name %s: %s", s.what, quoted(name.Name), why)
	}
	if earlier, taken := s.keys[n.key]; taken {
		v.fail("%s name %s conflicts with the earlier name %s", s.what, quoted(name.Name), quoted(earlier))
	}
	s.keys[n.key] = name.Name
	v.attributes(s, n, name, x)
	if why := s.annotation(n, x); why != "" {
		v.fail("%s name %s: %s", s.what, quoted(name.Name), why)
	}
	if r, ok := x.item.(*resource); ok && n.kind == plainName && !s.bundle {
		s.labels[r], s.labelled[name.Name] = name.Name, true
	}
	s.add(name.Name, x)
}

// attributes checks those of a name.
func (v *validator) attributes(s *side, n externName, name binary.ExternName, x extern) {
	if name.Repeated != "" {
		v.fail("%s name %s has more than one attribute %s", s.what, quoted(name.Name), name.Repeated)
	}
	if name.VersionSuffix != "" {
		full := n.version + name.VersionSuffix
		if n.kind != interfaceName || !isCanonicalVersion(n.version) || !isSemver(full) {
			v.fail("%s name %s does not become a version by its versionsuffix", s.what, quoted(name.Name))
		}
	}
	if name.Implements == "" {
		return
	}
	of, why := parseName(name.Implements)
	switch {
	case why != "":
		v.fail("%s name %s implements %s: %s", s.what, quoted(name.Name), quoted(name.Implements), why)
	case of.kind != interfaceName:
		v.fail("%s name %s implements %s, which must be an interface", s.what, quoted(name.Name), quoted(name.Implements))
	case x.sort != binary.SortInstance:
		v.fail("%s name %s: only instances can have the attribute implements", s.what, quoted(name.Name))
	case n.kind != plainName:
		v.fail("%s name %s cannot have the attribute implements", s.what, quoted(name.Name))
	}
}

// annotation reports why an item may not be a constructor, method or static function if its name
// says so.
func (s *side) annotation(n externName, x extern) (why string) {
	if n.kind == plainName || n.kind == interfaceName {
		return ""
	}
	f, ok := x.item.(*funcType)
	if !ok || x.sort != binary.SortFunc {
		return "it is not a function"
	}
	switch n.kind {
	case constructorName:
		return s.constructor(n, f)
	case methodName:
		return s.method(n, f)
	}
	if !s.labelled[n.resource] {
		return "there is no resource type with the name before the ."
	}
	return ""
}

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
