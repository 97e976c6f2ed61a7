package binary

// CoreTypeDef defines core types: the Types of one recursion group, or one type of a module.
type CoreTypeDef struct {
	Types  []CoreSubType   // of a recursion group; a type alone is a group of one
	Module *CoreModuleType // else
	At     int
}

// CoreValType is the type of a core value.
type CoreValType struct {
	Kind CoreKind
	Heap CoreHeap // of a reference
	Null bool     // likewise: it may be null
}

// CoreKind is the kind of a core value.
type CoreKind uint8

// Kinds of core values.
const (
	CoreI32 CoreKind = iota
	CoreI64
	CoreF32
	CoreF64
	CoreV128
	CoreRef
	CoreI8  // of a field only
	CoreI16 // likewise
)

// CoreHeap is what a reference refers to: an abstract type by the byte that the format has for it,
// or if that is 0 the type with the index.
type CoreHeap struct {
	Abstract uint8
	Index    uint32
}

// CoreSubType is a core type with its declared supertypes.
type CoreSubType struct {
	Final  bool
	Supers []uint32
	Type   CoreCompType
}

// CoreCompType is a *CoreFuncType, *CoreStructType or *CoreArrayType.
type CoreCompType interface{ coreCompType() }

func (*CoreFuncType) coreCompType()   {}
func (*CoreStructType) coreCompType() {}
func (*CoreArrayType) coreCompType()  {}

// CoreFuncType is the type of a core function.
type CoreFuncType struct{ Params, Results []CoreValType }

// CoreStructType is the type of a struct of the core's garbage collection.
type CoreStructType struct{ Fields []CoreField }

// CoreArrayType is the type of an array of the core's garbage collection.
type CoreArrayType struct{ Field CoreField }

// CoreField is a field of a struct, or an element of an array.
type CoreField struct {
	Type    CoreValType
	Mutable bool
}

// CoreModuleType is the type of a core module.
type CoreModuleType struct{ Decls []CoreModuleDecl }

// CoreModuleDecl is a *CoreTypeDef, *CoreImport, *CoreAlias or *CoreExportDecl.
type CoreModuleDecl interface{ coreModuleDecl() }

func (*CoreTypeDef) coreModuleDecl()    {}
func (*CoreImport) coreModuleDecl()     {}
func (*CoreAlias) coreModuleDecl()      {}
func (*CoreExportDecl) coreModuleDecl() {}

// CoreImport is an import of a core module.
type CoreImport struct {
	Module, Name string
	Type         CoreExtern
}

// CoreAlias makes a core type of an enclosing scope a type of the module type.
type CoreAlias struct{ Count, Index uint32 }

// CoreExportDecl is an export of a core module.
type CoreExportDecl struct {
	Name string
	Type CoreExtern
}

// CoreExtern is the type of an import or export of a core module.
type CoreExtern struct {
	Sort   Sort        // SortCoreFunc, SortCoreTable, SortCoreMemory, SortCoreGlobal or SortCoreTag
	Type   uint32      // of a function or tag: an index of a core type
	Value  CoreValType // of a table's elements, or a global
	Limits CoreLimits  // of a table or memory
	// Mutable is of a global.
	Mutable bool
}

// CoreLimits bound a table or memory, in elements or pages.
type CoreLimits struct {
	Min      uint64
	Max      uint64
	HasMax   bool
	Shared   bool
	Is64     bool
	PageBits uint8 // logarithm of a page's size; 16 unless the custom page size is another
}
