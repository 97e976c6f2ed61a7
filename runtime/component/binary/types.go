package binary

// Bytes of the format's types, besides those of Prim.
const (
	typeRecord    = 0x72
	typeVariant   = 0x71
	typeList      = 0x70
	typeTuple     = 0x6f
	typeFlags     = 0x6e
	typeEnum      = 0x6d
	typeOption    = 0x6b
	typeResult    = 0x6a
	typeOwn       = 0x69
	typeBorrow    = 0x68
	typeFixedList = 0x67
	typeStream    = 0x66
	typeFuture    = 0x65
	typeMap       = 0x63
	typeFunc      = 0x40
	typeComponent = 0x41
	typeInstance  = 0x42
	typeAsyncFunc = 0x43
	typeResource  = 0x3f
)

func (p Prim) known() bool { return p >= String && p <= Bool || p == ErrorContext }

// typeDef reads a type that stands in that many others.
func (r *reader) typeDef(depth int) *TypeDef {
	at := r.at
	return &TypeDef{At: at, Type: r.defType(depth)}
}

func (r *reader) defType(depth int) DefType {
	at := r.at
	switch b := r.byte(); b {
	case typeFunc, typeAsyncFunc:
		return &Func{Async: b == typeAsyncFunc, Params: list(r, "parameters", (*reader).field), Result: r.result()}
	case typeComponent:
		return &ComponentType{Decls: r.declarations(at, depth, true)}
	case typeInstance:
		return &InstanceType{Decls: r.declarations(at, depth, false)}
	case typeResource:
		return r.resource(at)
	default:
		return r.valueTypeDef(at, b)
	}
}

// valueTypeDef reads a type of values that begins with b.
func (r *reader) valueTypeDef(at int, b byte) DefType {
	switch b {
	case typeRecord:
		return &Record{Fields: list(r, "fields", (*reader).field)}
	case typeVariant:
		return &Variant{Cases: list(r, "cases", (*reader).variantCase)}
	case typeList:
		return &List{Type: r.valType()}
	case typeFixedList:
		return &List{Type: r.valType(), Fixed: true, Length: r.u32()}
	case typeTuple:
		return &Tuple{Types: list(r, "types", (*reader).valType)}
	case typeFlags:
		return &Flags{Labels: list(r, "flags", (*reader).name)}
	case typeEnum:
		return &Enum{Labels: list(r, "cases", (*reader).name)}
	case typeOption:
		return &Option{Type: r.valType()}
	case typeResult:
		return &Result{OK: r.optionalType(), Err: r.optionalType()}
	case typeOwn:
		return &Own{Type: r.u32()}
	case typeBorrow:
		return &Borrow{Type: r.u32()}
	case typeStream:
		return &Stream{Type: r.optionalType()}
	case typeFuture:
		return &Future{Type: r.optionalType()}
	case typeMap:
		return &Map{Key: r.valType(), Value: r.valType()}
	}
	if !Prim(b).known() {
		r.fail(at, "a type 0x%x is not known here", b)
	}
	return Prim(b)
}

// valType reads the byte of a primitive type, or the number of a type.
func (r *reader) valType() ValType {
	at := r.at
	if b := Prim(r.peek()); b.known() {
		r.at++
		return ValType{Prim: b}
	}
	i := r.s33()
	if i < 0 {
		r.fail(at, "a type of values 0x%x is not known here", r.b[at])
	}
	return ValType{Index: uint32(i)}
}

func (r *reader) optionalType() *ValType {
	if !r.flag("whether there is a type") {
		return nil
	}
	t := r.valType()
	return &t
}

func (r *reader) field() Field { return Field{Label: r.name(), Type: r.valType()} }

func (r *reader) variantCase() Case {
	c := Case{Label: r.name(), Type: r.optionalType()}
	r.zero("the last byte of a case")
	return c
}

// result reads the result of a function, or nil.
func (r *reader) result() *ValType {
	if r.flag("the form of a function's results") {
		r.zero("the number of results")
		return nil
	}
	t := r.valType()
	return &t
}

func (r *reader) resource(at int) *Resource {
	t := &Resource{Rep: r.coreValType()}
	if t.Rep.Kind == CoreI64 {
		r.unsupported(at, "the component has resources that i64 stands for, which are not supported")
	}
	if r.flag("whether a resource has a destructor") {
		i := r.u32()
		t.Destructor = &i
	}
	return t
}

// declarations reads those of a component type or instance type that stands in that many others.
func (r *reader) declarations(at, depth int, component bool) []Declaration {
	r.bound(at, "types within each other", depth+1, maxNesting)
	return list(r, "declarations", func(r *reader) Declaration {
		r.defined(r.at)
		return r.declaration(depth, component)
	})
}

// Kinds of declarations.
const (
	declareCoreType = 0
	declareType     = 1
	declareAlias    = 2
	declareImport   = 3
	declareExport   = 4
)

func (r *reader) declaration(depth int, component bool) Declaration {
	at := r.at
	kind := r.byte()
	switch {
	case kind == declareCoreType:
		return r.coreTypeDef(true)
	case kind == declareType:
		return r.typeDef(depth + 1)
	case kind == declareAlias:
		at = r.at
		if d, ok := r.alias().(Declaration); ok {
			return d
		}
		r.fail(at, "a type has no exports of core instances")
	case kind == declareImport && component:
		return &ImportDecl{At: at, Name: r.externName(), Type: r.externType()}
	case kind == declareExport:
		return &ExportDecl{At: at, Name: r.externName(), Type: r.externType()}
	}
	r.fail(at, "a declaration of kind 0x%x is not known here", kind)
	return nil
}
