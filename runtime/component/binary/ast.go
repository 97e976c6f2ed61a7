package binary

// Component is a component as its binary has it: definitions in their order. A definition refers to
// earlier ones by their index in the index space of their sort.
type Component struct {
	Definitions []Definition
	Customs     []Custom
	At          int // offset of its first byte in the file
}

// Custom is a custom section. Engines pass over those that they do not know.
type Custom struct {
	Name string
	Data []byte
}

// Definition is one of the types below that say so.
type Definition interface{ definition() }

func (*CoreModule) definition()      {}
func (*CoreInstantiate) definition() {}
func (*CoreBundle) definition()      {}
func (*CoreTypeDef) definition()     {}
func (*Component) definition()       {}
func (*Instantiate) definition()     {}
func (*Bundle) definition()          {}
func (*AliasExport) definition()     {}
func (*AliasCoreExport) definition() {}
func (*AliasOuter) definition()      {}
func (*TypeDef) definition()         {}
func (*Lift) definition()            {}
func (*Lower) definition()           {}
func (*Builtin) definition()         {}
func (*Import) definition()          {}
func (*Export) definition()          {}

// Sort says which index space an index belongs to.
type Sort uint8

// Sorts. The numbers are ours: the format has two bytes for those of the core.
const (
	SortCoreFunc Sort = iota
	SortCoreTable
	SortCoreMemory
	SortCoreGlobal
	SortCoreTag
	SortCoreType
	SortCoreModule
	SortCoreInstance
	SortFunc
	SortType
	SortComponent
	SortInstance
)

// Ref is an item: an index, and the index space that it belongs to.
type Ref struct {
	Sort  Sort
	Index uint32
}

// CoreModule is an embedded core module. Its method Core reads it.
type CoreModule struct {
	Bytes []byte
	At    int

	file *coreModules // those of the file; nil if Decode has not made this
	core *Core        // once it is read; the file's lock guards it
}

// CoreInstantiate makes an instance of a core module.
type CoreInstantiate struct {
	Module uint32
	Args   []CoreArg
	At     int
}

// CoreArg is a core instance that a core module imports from under that name.
type CoreArg struct {
	Name     string
	Instance uint32
}

// CoreBundle is a core instance that is made of items.
type CoreBundle struct {
	Exports []CoreExport
	At      int
}

// CoreExport is an item of a bundle.
type CoreExport struct {
	Name string
	Ref
}

// Instantiate makes an instance of a component.
type Instantiate struct {
	Component uint32
	Args      []Arg
	At        int
}

// Arg is an item that a component is given for the import of that name.
type Arg struct {
	Name string
	Ref
}

// Bundle is an instance that is made of items.
type Bundle struct {
	Exports []InlineExport
	At      int
}

// InlineExport is an item of a bundle.
type InlineExport struct {
	Name ExternName
	Ref
}

// AliasExport makes an export of an instance an item.
type AliasExport struct {
	Sort     Sort
	Instance uint32
	Name     string
	At       int
}

// AliasCoreExport makes an export of a core instance an item.
type AliasCoreExport struct {
	Sort     Sort
	Instance uint32
	Name     string
	At       int
}

// AliasOuter makes an item of an enclosing component or type an item of this one. Count says how
// far out: 0 is this one itself.
type AliasOuter struct {
	Sort  Sort
	Count uint32
	Index uint32
	At    int
}

// ExternName is the name of an import or export, with its attributes.
type ExternName struct {
	Name          string
	Implements    string // name of an interface, or ""
	VersionSuffix string // or ""
	ExternalID    string // or ""
	Repeated      string // the name of an attribute that is given more than once, or ""
}

// Import is an item that the component must be given.
type Import struct {
	Name ExternName
	Type ExternType
	At   int
}

// Export is an item that the component gives, and an item of its own index space.
type Export struct {
	Name ExternName
	Ref
	Type *ExternType // what it is said to be, or nil
	At   int
}

// ExternType is the type of an import or export.
type ExternType struct {
	Sort  Sort   // SortCoreModule, SortFunc, SortType, SortComponent or SortInstance
	Index uint32 // of a type; of a core type for SortCoreModule
	// Resource says, of SortType, that the type is a resource type of its own, and Index is not used.
	Resource bool
}
