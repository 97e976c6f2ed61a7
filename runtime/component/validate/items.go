package validate

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// item is an element of an index space: what a definition makes. The index space of types has
// those that are a typeItem. An item does not change once it is made.
type item interface{}

// typeItem is an element of the index space of types. Each place that gives a type a name, an
// import or export, makes one of its own: its address says which name it is.
type typeItem interface{ depthOf() int }

func (t *valueType) depthOf() int     { return t.typ.Depth }
func (t *resource) depthOf() int      { return 1 }
func (t *funcType) depthOf() int      { return t.typ.Args.Depth }
func (t *instanceType) depthOf() int  { return t.depth }
func (t *componentType) depthOf() int { return t.depth }

// valueType is a type of values with the names of its parts.
type valueType struct {
	typ *types.Type // interned
	// parts are the types that it is made of; nil is the lack of one. They are typ's elements,
	// but a map's, which are its key and value.
	parts  []*valueType
	handle *resource // of own and borrow
	// handles says that it contains own or borrow, pointers that it contains a list, string or
	// map.
	handles, pointers bool
}

// resource is a name of a resource type.
type resource struct{ of *types.Resource }

// funcType is the type of a function.
type funcType struct {
	typ     *types.Func // interned
	params  []*valueType
	result  *valueType // or nil
	handles bool
}

// moduleType is the type of a core module.
type moduleType struct {
	imports []coreImport
	exports []coreExport
	byName  map[string]int // exports
}

// instanceType is the type of an instance.
type instanceType struct {
	exports externs
	depth   int
	// fresh are the resource types that each instance of the type has as its own. The type of
	// an instance that there is has none: they were replaced by resource types of the scope.
	fresh map[*types.Resource]bool
}

// componentType is the type of a component.
type componentType struct {
	imports, exports externs
	depth            int
	// imported are the resource types that an instance is given, defined those that each
	// instance has as its own.
	imported, defined map[*types.Resource]bool
}

// extern is an import or export, or an item with its sort.
type extern struct {
	sort binary.Sort
	item item
	// equals is the type by another name that an imported or exported type is said to be, or nil.
	equals typeItem
}

// externs are imports or exports, in their order.
type externs struct {
	names  []string
	list   []extern
	byName map[string]int
}

func (e *externs) add(name string, x extern) {
	if e.byName == nil {
		e.byName = map[string]int{}
	}
	e.byName[name] = len(e.list)
	e.names, e.list = append(e.names, name), append(e.list, x)
}

func (e *externs) get(name string) (x extern, ok bool) {
	i, ok := e.byName[name]
	if !ok {
		return extern{}, false
	}
	return e.list[i], true
}

// depthOf is how deep an import or export nests types.
func (x extern) depthOf() int {
	if t, ok := x.item.(typeItem); ok {
		return t.depthOf()
	}
	return 1 // a core module
}

func (e *externs) depth() int {
	depth := 0
	for _, x := range e.list {
		depth = max(depth, x.depthOf())
	}
	return depth
}

// named returns another name of a type.
func named(t typeItem) typeItem {
	switch t := t.(type) {
	case *valueType:
		c := *t
		return &c
	case *resource:
		c := *t
		return &c
	case *funcType:
		c := *t
		return &c
	case *instanceType:
		c := *t
		return &c
	default:
		c := *t.(*componentType)
		return &c
	}
}

// sortName is the name of a sort in errors.
func sortName(s binary.Sort) string {
	return [...]string{
		binary.SortCoreFunc: "core function", binary.SortCoreTable: "core table", binary.SortCoreMemory: "core memory",
		binary.SortCoreGlobal: "core global", binary.SortCoreTag: "core tag", binary.SortCoreType: "core type",
		binary.SortCoreModule: "core module", binary.SortCoreInstance: "core instance", binary.SortFunc: "function",
		binary.SortType: "type", binary.SortComponent: "component", binary.SortInstance: "instance",
	}[s]
}

// aSort is that name with its article.
func aSort(s binary.Sort) string {
	if s == binary.SortInstance {
		return "an " + sortName(s)
	}
	return "a " + sortName(s)
}

// typeName is the name of a kind of type in errors.
func typeName(t typeItem) string {
	switch t.(type) {
	case *valueType:
		return "a type of values"
	case *resource:
		return "a resource type"
	case *funcType:
		return "a function type"
	case *instanceType:
		return "an instance type"
	}
	return "a component type"
}
