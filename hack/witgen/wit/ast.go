package wit

import "fmt"

// Pos is a place in a file.
type Pos struct {
	File         string
	Line, Column int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// errorf returns an error that says where it is.
func (p Pos) errorf(format string, args ...any) error {
	return fmt.Errorf("%v: %w", p, fmt.Errorf(format, args...))
}

// Ident is a name, without the % that tells it from a keyword.
type Ident struct {
	Name string
	Pos  Pos
}

// Package is a WIT package, of all its files.
type Package struct {
	Namespace, Name string
	Version         string // or ""
	Pos             Pos
	Interfaces      []*Interface
	Worlds          []*World
}

// FullName returns the package's name with its version, if it has one.
func (p *Package) FullName() string { return p.qualify("") }

// qualify returns the name of an interface of the package, as components have it.
func (p *Package) qualify(of string) string {
	name := p.Namespace + ":" + p.Name + of
	if p.Version != "" {
		name += "@" + p.Version
	}
	return name
}

// Gate says from when on, or with what feature, there is an item.
type Gate struct {
	Since   string // a version, or ""
	Feature string // or ""
	Pos     Pos
}

// Interface is an interface.
type Interface struct {
	Gate    Gate
	Package *Package
	Ident
	Types []*TypeDef
	Funcs []*Func
	// Exported and Imported say that a world exports it, or imports it.
	Exported, Imported bool

	uses  []*use
	scope map[string]*TypeDef
	names fileNames
}

// FullName returns the name that components have for it.
func (i *Interface) FullName() string { return i.Package.qualify("/" + i.Name) }

// Unversioned returns its name without the version.
func (i *Interface) Unversioned() string {
	return i.Package.Namespace + ":" + i.Package.Name + "/" + i.Name
}

// use takes types of another interface.
type use struct {
	gate  Gate
	path  reference
	names []rename
}

type rename struct{ name, as Ident }

// reference names an interface or world: of the same package if it has no namespace.
type reference struct {
	namespace, pkg, version string
	name                    Ident
}

// DefKind is the kind of a definition of a type.
type DefKind int

// Kinds of definitions.
const (
	Alias DefKind = iota
	Record
	Variant
	Enum
	Flags
	Resource
	used // of another interface, until it is resolved
)

// TypeDef defines a type.
type TypeDef struct {
	Gate      Gate
	Interface *Interface
	Ident
	Kind DefKind
	// Type is what an alias stands for.
	Type *Type
	// Fields are those of a record, or the cases of a variant, which may lack a type. Of an enum or
	// flags they have no types.
	Fields []Field
	// Funcs are those of a resource.
	Funcs []*Func

	of    *TypeDef // of used
	state int      // of the search for types that contain themselves
}

// Field is a field, case, flag or parameter.
type Field struct {
	Ident
	Type *Type // or nil
}

// FuncKind says what a function belongs to.
type FuncKind int

// Kinds of functions.
const (
	Free FuncKind = iota
	Method
	Static
	Constructor
)

// Func is a function.
type Func struct {
	Gate Gate
	Ident
	Kind   FuncKind
	Of     *TypeDef // the resource that it belongs to, or nil
	Async  bool
	Params []Field // with self
	Result *Type   // or nil
}

// FullName returns the name that components have for it.
func (f *Func) FullName() string {
	switch f.Kind {
	case Method:
		return "[method]" + f.Of.Name + "." + f.Name
	case Static:
		return "[static]" + f.Of.Name + "." + f.Name
	case Constructor:
		return "[constructor]" + f.Of.Name
	}
	return f.Name
}

// Kind is the kind of a type: its keyword in WIT, or one of those that follow.
type Kind string

// Kinds of types that have no keyword, and those with parameters.
const (
	Named     Kind = "name"
	Own       Kind = "own"
	Borrow    Kind = "borrow"
	List      Kind = "list"
	FixedList Kind = "fixed list"
	Map       Kind = "map"
	Tuple     Kind = "tuple"
	Option    Kind = "option"
	Result    Kind = "result"
	Stream    Kind = "stream"
	Future    Kind = "future"
)

// Type is a type where it is used.
type Type struct {
	Kind Kind
	Pos  Pos
	// Args are the types in angle brackets. Those of a result are two, and of a stream or future
	// one: nil where there is none.
	Args   []*Type
	Length uint32 // of a FixedList
	// Def is the definition that Named, Own and Borrow refer to, where it is: it may be an alias.
	Def *TypeDef

	name Ident
}

// Meaning returns what a type is once aliases are followed: a Named one refers to a record,
// variant, enum or flags, and a handle to a resource.
func (t *Type) Meaning() *Type {
	for {
		switch {
		case t.Def == nil || t.Def.Kind != Alias:
			return t
		case t.Kind == Borrow:
			t = &Type{Kind: Borrow, Pos: t.Pos, Def: t.Def.Type.Def}
		default:
			t = t.Def.Type
		}
	}
}

// World is a world: which interfaces it imports and exports.
type World struct {
	Gate    Gate
	Package *Package
	Ident

	imports, exports, includes []gatedPath
	names                      fileNames
}

type gatedPath struct {
	gate Gate
	path reference
}

// fileNames are the interfaces that the top of a file gives names to.
type fileNames map[string]reference
