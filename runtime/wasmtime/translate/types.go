package translate

// kind is the compiler's view of a type of values.
type kind uint8

const (
	number  kind = iota // this includes function references, which are pointers for the compiler
	vector              // v128: a cast at each use
	managed             // references that the garbage collector follows: barriers at each read or write
)

// composite is the kind of a type.
type composite uint8

const (
	functionType composite = iota
	structType
	arrayType
)

// typeInfo is a type of the module. The kinds of its parameters and results, or of its fields, are
// in module.kinds.
type typeInfo struct {
	composite       composite
	depth           uint8 // of subtyping
	start           uint32
	params, results uint16 // for a function; for other types, params is the number of fields
	values          values // of a function
}

// values says what all parameters and results of a function are.
type values uint8

const (
	words   values = iota // i32
	numeric               // i32, i64, f32, f64
	other
)

func (m *module) params(t *typeInfo) []kind { return m.kinds[t.start:][:t.params] }

// Bytes of types in the binary format.
const (
	typeFunction  = 0x60
	typeStruct    = 0x5f
	typeArray     = 0x5e
	typeContinues = 0x5d
	typeSub       = 0x50
	typeSubFinal  = 0x4f
	typeRec       = 0x4e
	typeI32       = 0x7f
	typeF64       = 0x7c
	typeV128      = 0x7b
	typeI8        = 0x78
	typeI16       = 0x77
	typeFuncref   = 0x70
	typeExternref = 0x6f
	typeRef       = 0x64
	typeRefNull   = 0x63
	typeEmpty     = 0x40
)

// typeSection reads the types.
func (m *module) typeSection(r *reader) {
	n := r.count("types")
	for range n {
		at := r.at
		if r.b[min(r.at, len(r.b)-1)] != typeRec {
			m.groupEnd = len(m.types) + 1
			m.subtype(r)
			continue
		}
		r.byte()
		r.need(GC, at)
		group := r.count("types")
		r.bound(at, "types in a recursive group", uint64(group), m.limits.RecGroup)
		m.groupEnd = len(m.types) + group
		for range group {
			m.subtype(r)
		}
	}
	m.groupEnd = len(m.types)
	m.addedTypes = n
}

func (m *module) subtype(r *reader) {
	at := r.at
	r.bound(at, "types", uint64(len(m.types))+1, m.limits.Types)
	t := typeInfo{start: uint32(len(m.kinds))}
	b := r.byte()
	if b == typeSub || b == typeSubFinal {
		r.need(GC, at)
		for range r.count("supertypes") {
			super := r.u32()
			r.index(at, "type", super, len(m.types))
			t.depth = max(t.depth, m.types[super].depth+1)
		}
		r.bound(at, "levels of subtypes", uint64(t.depth), m.limits.Subtyping)
		b = r.byte()
	}
	switch b {
	case typeFunction:
		var in, out values
		t.params, in = m.typeList(r, "parameters")
		t.results, out = m.typeList(r, "results")
		t.values = max(in, out)
		if t.results > 1 {
			r.need(MultiValue, at)
		}
	case typeStruct:
		r.need(GC, at)
		t.composite = structType
		n := r.count("fields")
		r.bound(at, "fields of a struct", uint64(n), min(m.limits.Fields, 1<<16-1))
		t.params = uint16(n)
		for range n {
			m.field(r)
		}
	case typeArray:
		r.need(GC, at)
		t.composite, t.params = arrayType, 1
		m.field(r)
	case typeContinues:
		r.need(StackSwitching, at)
	default:
		r.fail(at, "a type that begins with 0x%x is not known here", b)
	}
	m.types = append(m.types, t)
}

// typeList reads types of values into module.kinds.
func (m *module) typeList(r *reader, what string) (size uint16, are values) {
	at := r.at
	n := r.count(what)
	r.bound(at, what, uint64(n), min(m.limits.Parameters, 1<<16-1))
	for range n {
		switch b := r.b[min(r.at, len(r.b)-1)]; {
		case b == typeI32:
		case b >= typeF64 && b < typeI32:
			are = max(are, numeric)
		default:
			are = other
		}
		m.kinds = append(m.kinds, m.valueType(r))
	}
	return uint16(n), are
}

// field reads the type of a field, and whether it is mutable.
func (m *module) field(r *reader) {
	if b := r.b[min(r.at, len(r.b)-1)]; b == typeI8 || b == typeI16 {
		r.byte()
		m.kinds = append(m.kinds, number)
	} else {
		m.kinds = append(m.kinds, m.valueType(r))
	}
	m.mutability(r)
}

func (m *module) mutability(r *reader) (mutable bool) {
	at := r.at
	b := r.byte()
	if b > 1 {
		r.fail(at, "neither mutable nor constant")
	}
	return b == 1
}

// valueType reads the type of a value.
func (m *module) valueType(r *reader) kind {
	at := r.at
	b := r.byte()
	switch {
	case b >= typeF64 && b <= typeI32:
		return number
	case b == typeV128:
		r.need(SIMD, at)
		return vector
	}
	r.at = at
	return m.referenceType(r)
}

// referenceType reads the type of a reference.
func (m *module) referenceType(r *reader) kind {
	at := r.at
	b := r.byte()
	if b == typeRef || b == typeRefNull {
		r.need(TypedFunctionReferences, at)
		return m.heapType(r)
	}
	r.at = at
	if b >= typeEmpty && b < 0x80 {
		r.need(ReferenceTypes, at)
		return m.heapType(r)
	}
	r.fail(at, "a type of values 0x%x is not known here", b)
	return 0
}

// heapType reads the type to which a reference refers.
func (m *module) heapType(r *reader) kind {
	at := r.at
	b := r.b[min(r.at, len(r.b)-1)]
	switch b {
	case typeFuncref, typeExternref:
	case 0x6e, 0x6d, 0x6c, 0x6b, 0x6a, 0x71, 0x72, 0x73: // any, eq, i31, struct, array, none, noextern, nofunc
		r.need(GC, at)
	case 0x69, 0x74: // exn, noexn
		r.need(ExceptionHandling, at)
	case 0x68, 0x75: // cont, nocont
		r.need(StackSwitching, at)
	default:
		r.need(TypedFunctionReferences, at)
		i := r.signed(33)
		if i < 0 || i >= int64(max(m.groupEnd, len(m.types))) {
			r.fail(at, "there is no type %d", i)
		}
		if i < int64(len(m.types)) && m.types[i].composite == functionType {
			return number
		}
		return managed
	}
	r.byte()
	if b == typeFuncref || b == 0x73 {
		return number
	}
	return managed
}
