package binary

// TypeDef defines a type.
type TypeDef struct {
	Type DefType
	At   int
}

// DefType is one of the types below that say so.
type DefType interface{ defType() }

func (Prim) defType()           {}
func (*Record) defType()        {}
func (*Variant) defType()       {}
func (*List) defType()          {}
func (*Tuple) defType()         {}
func (*Flags) defType()         {}
func (*Enum) defType()          {}
func (*Option) defType()        {}
func (*Result) defType()        {}
func (*Own) defType()           {}
func (*Borrow) defType()        {}
func (*Stream) defType()        {}
func (*Future) defType()        {}
func (*Map) defType()           {}
func (*Func) defType()          {}
func (*ComponentType) defType() {}
func (*InstanceType) defType()  {}
func (*Resource) defType()      {}

// Prim is a primitive type, by the byte that the format has for it.
type Prim uint8

// The primitive types.
const (
	Bool         Prim = 0x7f
	S8           Prim = 0x7e
	U8           Prim = 0x7d
	S16          Prim = 0x7c
	U16          Prim = 0x7b
	S32          Prim = 0x7a
	U32          Prim = 0x79
	S64          Prim = 0x78
	U64          Prim = 0x77
	F32          Prim = 0x76
	F64          Prim = 0x75
	Char         Prim = 0x74
	String       Prim = 0x73
	ErrorContext Prim = 0x64
)

// ValType is the type of a value: a primitive type, or a type of the index space if Prim is 0.
type ValType struct {
	Prim  Prim
	Index uint32
}

// Field is a field of a record, or a parameter of a function.
type Field struct {
	Label string
	Type  ValType
}

// Case is a case of a variant. Type is nil if it has no value.
type Case struct {
	Label string
	Type  *ValType
}

// Types of values, and of functions.
type (
	// Record has fields.
	Record struct{ Fields []Field }
	// Variant has cases.
	Variant struct{ Cases []Case }
	// List has values of one type: Length of them if Fixed, else any number.
	List struct {
		Type   ValType
		Fixed  bool
		Length uint32
	}
	// Tuple has values of these types.
	Tuple struct{ Types []ValType }
	// Flags has bits.
	Flags struct{ Labels []string }
	// Enum has cases without values.
	Enum struct{ Labels []string }
	// Option may have a value.
	Option struct{ Type ValType }
	// Result is a value or an error; each of their types may be nil.
	Result struct{ OK, Err *ValType }
	// Own is a handle that owns a resource of the type with that index.
	Own struct{ Type uint32 }
	// Borrow is a handle of a resource for the time of a call.
	Borrow struct{ Type uint32 }
	// Stream is the readable end of a stream of values, or of nothing but their number (nil).
	Stream struct{ Type *ValType }
	// Future is the readable end of one value, or of nothing but that it comes (nil).
	Future struct{ Type *ValType }
	// Map has keys with values.
	Map struct{ Key, Value ValType }
	// Func is the type of a function. Result is nil if it has none.
	Func struct {
		Async  bool
		Params []Field
		Result *ValType
	}
	// ComponentType is the type of a component.
	ComponentType struct{ Decls []Declaration }
	// InstanceType is the type of an instance. It has no ImportDecl.
	InstanceType struct{ Decls []Declaration }
	// Resource is a new resource type. Rep is the core type of what stands for a resource; it is not
	// i64, which the decoder refuses.
	Resource struct {
		Rep        CoreValType
		Destructor *uint32 // a core function, or nil
	}
)

// Declaration is a *CoreTypeDef, *TypeDef, *AliasExport, *AliasOuter, *ImportDecl or *ExportDecl.
type Declaration interface{ declaration() }

func (*CoreTypeDef) declaration() {}
func (*TypeDef) declaration()     {}
func (*AliasExport) declaration() {}
func (*AliasOuter) declaration()  {}
func (*ImportDecl) declaration()  {}
func (*ExportDecl) declaration()  {}

// ImportDecl declares an import of a component type.
type ImportDecl struct {
	Name ExternName
	Type ExternType
	At   int
}

// ExportDecl declares an export of a component type or instance type.
type ExportDecl struct {
	Name ExternName
	Type ExternType
	At   int
}
