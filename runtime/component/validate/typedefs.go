package validate

import (
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// primTypes are the primitive types of values. They need no names, so there is one of each.
var primTypes = func() map[binary.Prim]*valueType {
	kinds := map[binary.Prim]types.Kind{
		binary.Bool: types.Bool, binary.S8: types.S8, binary.U8: types.U8, binary.S16: types.S16, binary.U16: types.U16,
		binary.S32: types.S32, binary.U32: types.U32, binary.S64: types.S64, binary.U64: types.U64, binary.F32: types.F32,
		binary.F64: types.F64, binary.Char: types.Char, binary.String: types.String, binary.ErrorContext: types.ErrorContext,
	}
	all := map[binary.Prim]*valueType{}
	for p, k := range kinds {
		all[p] = &valueType{typ: types.Prim(k), pointers: k == types.String}
	}
	return all
}()

// typeDefs makes the types that a scope defines.
type typeDefs struct{ *scope }

// typeDef returns the type that a definition makes.
func (s typeDefs) typeDef(d binary.DefType) typeItem {
	switch d := d.(type) {
	case *binary.Func:
		return s.functionType(d)
	case *binary.ComponentType:
		return s.declaredComponent(d)
	case *binary.InstanceType:
		return s.declaredInstance(d)
	case *binary.Resource:
		return s.resourceType(d)
	}
	return s.valueDef(d)
}

func (s typeDefs) valueDef(d binary.DefType) *valueType {
	switch d := d.(type) {
	case binary.Prim:
		return s.value(binary.ValType{Prim: d})
	case *binary.Record:
		return s.record(d)
	case *binary.Variant:
		return s.variant(d)
	case *binary.List:
		return s.listType(d)
	case *binary.Tuple:
		s.notEmpty("a tuple", len(d.Types))
		return s.make(types.Type{Kind: types.Tuple}, s.values(d.Types)...)
	case *binary.Flags:
		return s.flags(d)
	case *binary.Enum:
		s.notEmpty("an enum", len(d.Labels))
		s.labels("case", d.Labels)
		return s.make(types.Type{Kind: types.Enum, Labels: d.Labels})
	case *binary.Option:
		return s.make(types.Type{Kind: types.Option}, nil, s.value(d.Type))
	case *binary.Result:
		return s.make(types.Type{Kind: types.Result}, s.optional(d.OK), s.optional(d.Err))
	case *binary.Own:
		return s.handle(types.Own, d.Type)
	case *binary.Borrow:
		return s.handle(types.Borrow, d.Type)
	case *binary.Stream:
		return s.stream(types.Stream, s.optional(d.Type))
	case *binary.Future:
		return s.stream(types.Future, s.optional(d.Type))
	case *binary.Map:
		return s.mapType(d)
	}
	s.fail("a type of an unknown kind")
	return nil
}

// make returns a type that is made of parts.
func (s typeDefs) make(like types.Type, parts ...*valueType) *valueType {
	s.spend(len(parts) + len(like.Labels))
	t := &valueType{parts: parts}
	s.shape(t, like)
	if t.typ.Nodes > maxNodes {
		s.unsupported("a type is made of more than %d types", maxNodes)
	}
	s.deep(t.typ.Depth)
	if t.typ.Wide >= maxSize {
		s.fail("values of a type take up to %d bytes in memory, which is too much", t.typ.Wide)
	}
	return t
}

// shape sets what follows from a type's parts and its resource.
func (v *validator) shape(t *valueType, like types.Type) {
	for _, p := range t.parts {
		if p == nil {
			like.Elems = append(like.Elems, nil)
			continue
		}
		like.Elems = append(like.Elems, p.typ)
		t.handles = t.handles || p.handles
		t.pointers = t.pointers || p.pointers
	}
	switch like.Kind {
	case types.Own, types.Borrow:
		like.Resource, t.handles = t.handle.of, true
	case types.List:
		t.pointers = true
	case types.Stream, types.Future:
		t.pointers = false // a handle, whatever comes through it
	case types.Map:
		like.Elems = []*types.Type{v.types.value(types.Type{Kind: types.Tuple, Elems: like.Elems})}
		t.pointers = true
	}
	t.typ = v.types.value(like)
}

func (s typeDefs) value(t binary.ValType) *valueType {
	if t.Prim != 0 {
		p, ok := primTypes[t.Prim]
		if !ok {
			s.fail("a primitive type of an unknown kind")
		}
		return p
	}
	of := s.typeAt(t.Index)
	v, ok := of.(*valueType)
	if !ok {
		s.fail("type %d is %s, not a type of values", t.Index, typeName(of))
	}
	return v
}

// optional returns nil for the lack of a type.
func (s typeDefs) optional(t *binary.ValType) *valueType {
	if t == nil {
		return nil
	}
	return s.value(*t)
}

func (s typeDefs) values(list []binary.ValType) []*valueType {
	all := make([]*valueType, len(list))
	for i, t := range list {
		all[i] = s.value(t)
	}
	return all
}

func (s typeDefs) notEmpty(what string, n int) {
	if n == 0 {
		s.fail("%s has nothing in it", what)
	}
}

// labels checks the names of fields, cases, flags or parameters.
func (s typeDefs) labels(what string, labels []string) {
	s.spend(len(labels))
	seen := make(map[string]bool, len(labels))
	for _, l := range labels {
		if !isLabel(l) {
			s.fail("the name %s of a %s is not in kebab case", quoted(l), what)
		}
		key := strings.ToLower(l)
		if seen[key] {
			s.fail("the name %s of a %s conflicts with an earlier one", quoted(l), what)
		}
		seen[key] = true
	}
}

// fields checks and returns the names and types of fields or parameters.
func (s typeDefs) fields(what string, list []binary.Field) (labels []string, parts []*valueType) {
	labels, parts = make([]string, len(list)), make([]*valueType, len(list))
	for i, f := range list {
		labels[i], parts[i] = f.Label, s.value(f.Type)
	}
	s.labels(what, labels)
	return labels, parts
}

func (s typeDefs) record(d *binary.Record) *valueType {
	s.notEmpty("a record", len(d.Fields))
	labels, parts := s.fields("field", d.Fields)
	return s.make(types.Type{Kind: types.Record, Labels: labels}, parts...)
}

func (s typeDefs) variant(d *binary.Variant) *valueType {
	s.notEmpty("a variant", len(d.Cases))
	labels, parts := make([]string, len(d.Cases)), make([]*valueType, len(d.Cases))
	for i, c := range d.Cases {
		labels[i], parts[i] = c.Label, s.optional(c.Type)
	}
	s.labels("case", labels)
	return s.make(types.Type{Kind: types.Variant, Labels: labels}, parts...)
}

func (s typeDefs) listType(d *binary.List) *valueType {
	if !d.Fixed {
		return s.make(types.Type{Kind: types.List}, s.value(d.Type))
	}
	if d.Length == 0 {
		s.fail("a list of a fixed length has nothing in it")
	}
	return s.make(types.Type{Kind: types.FixedList, Length: d.Length}, s.value(d.Type))
}

// maxFlags is how many bits flags have at most: they are one core value.
const maxFlags = 32

func (s typeDefs) flags(d *binary.Flags) *valueType {
	s.notEmpty("a flags type", len(d.Labels))
	if len(d.Labels) > maxFlags {
		s.fail("there are %d flags in a type, and it may have %d", len(d.Labels), maxFlags)
	}
	s.labels("flag", d.Labels)
	return s.make(types.Type{Kind: types.Flags, Labels: d.Labels})
}

func (s typeDefs) handle(kind types.Kind, index uint32) *valueType {
	t := &valueType{handle: s.resourceAt(index)}
	s.shape(t, types.Type{Kind: kind})
	return t
}

func (s typeDefs) stream(kind types.Kind, of *valueType) *valueType {
	if of != nil && of.typ.Borrows {
		s.fail("what a stream or future carries has a borrow handle")
	}
	if kind == types.Stream && of != nil && of.typ.Kind == types.Char {
		s.fail("a stream of char is not allowed")
	}
	return s.make(types.Type{Kind: kind}, of)
}

func (s typeDefs) mapType(d *binary.Map) *valueType {
	key := s.value(d.Key)
	switch k := key.typ.Kind; {
	case k <= types.U64, k == types.Char, k == types.String:
	default:
		s.fail("the keys of a map are of a type that keys cannot have")
	}
	return s.make(types.Type{Kind: types.Map}, key, s.value(d.Value))
}

func (s typeDefs) functionType(d *binary.Func) *funcType {
	labels, params := s.fields("parameter", d.Params)
	f := &funcType{params: params, result: s.optional(d.Result)}
	if f.result != nil && f.result.typ.Borrows {
		s.fail("the result of a function has a borrow handle")
	}
	s.shapeFunc(f, d.Async, labels)
	if f.typ.Args.Nodes > maxNodes {
		s.unsupported("a function's parameters are made of more than %d types", maxNodes)
	}
	s.deep(f.typ.Args.Depth)
	if f.typ.Args.Wide >= maxSize {
		s.unsupported("a function's parameters take up to %d bytes in memory, which is too much", f.typ.Args.Wide)
	}
	return f
}

// shapeFunc sets what follows from a function's parameters and result.
func (v *validator) shapeFunc(f *funcType, async bool, labels []string) {
	t := types.Func{Async: async}
	for i, p := range f.params {
		t.Params = append(t.Params, types.Param{Label: labels[i], Type: p.typ})
		f.handles = f.handles || p.handles
	}
	if f.result != nil {
		t.Result = f.result.typ
		f.handles = f.handles || f.result.handles
	}
	f.typ = v.types.function(t)
}

func (s typeDefs) resourceType(d *binary.Resource) *resource {
	if s.kind != ofComponent {
		s.fail("a resource type is defined in a type, where it can only be imported or exported")
	}
	if d.Rep.Kind != binary.CoreI32 {
		s.fail("what stands for a resource is not an i32")
	}
	if d.Destructor != nil {
		s.coreFuncHas(*d.Destructor, "a destructor", coreFunc{params: i32s(1)})
	}
	r := &resource{of: &types.Resource{}}
	s.defined[r.of], s.local[r.of] = true, true
	return r
}

// declaredComponent returns the type of components that declarations make.
func (s typeDefs) declaredComponent(d *binary.ComponentType) *componentType {
	inner := s.newScope(ofComponentType, s.scope)
	for _, x := range d.Decls {
		inner.declare(x)
	}
	return inner.componentType()
}

// declaredInstance returns the type of instances that declarations make.
func (s typeDefs) declaredInstance(d *binary.InstanceType) *instanceType {
	inner := s.newScope(ofInstanceType, s.scope)
	for _, x := range d.Decls {
		inner.declare(x)
	}
	return &instanceType{exports: inner.exports.externs, fresh: inner.defined, depth: s.deep(1 + inner.exports.depth())}
}
