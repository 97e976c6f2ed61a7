package binary

import (
	"slices"
	"sync"
)

// Core is what validation needs of a core module. Every number of a type in it is that of a type of
// the module; a supertype stands before its subtypes. The names of exports are unique. Nothing else
// of the module is known to be valid: the engine's compiler looks at that.
type Core struct {
	// Groups are the recursion groups of its types, in their order. A type's number counts the types
	// of all groups.
	Groups  [][]CoreSubType
	Imports []CoreImport
	Exports []CoreExportDecl

	exports map[string]int
}

// Export returns the type of the export with that name.
func (c *Core) Export(name string) (t CoreExtern, ok bool) {
	i, ok := c.exports[name]
	if !ok {
		return CoreExtern{}, false
	}
	return c.Exports[i].Type, true
}

// ReadCore reads a core module. It passes over code and data by the size of their sections. Offsets
// in errors count from the module's start.
func ReadCore(module []byte) (*Core, error) { return readCore(module, 0, &counts{}) }

// coreModules are the core modules of a file. Those that are read share the bounds of one.
type coreModules struct {
	lock sync.Mutex
	counts
}

// Core does what ReadCore does, once for a module: later calls return the same. Offsets in errors
// are the file's. The bounds hold for all modules of the file together.
func (m *CoreModule) Core() (*Core, error) {
	if m.file == nil {
		return readCore(m.Bytes, m.At, &counts{})
	}
	m.file.lock.Lock()
	defer m.file.lock.Unlock()
	if m.core != nil {
		return m.core, nil
	}
	c, err := readCore(m.Bytes, m.At, &m.file.counts)
	m.core = c
	return c, err
}

func readCore(module []byte, base int, n *counts) (c *Core, err error) {
	defer caught(&err)
	r := newReader(module, base, "core module", n)
	r.head(headModule, "core module")
	m := coreReader{core: &Core{exports: map[string]int{}}}
	m.sections(r)
	return m.core, nil
}

// coreReader is what is known of a module while it is read.
type coreReader struct {
	core  *Core
	types []*CoreSubType // of all groups
	// The index spaces, imports first.
	functions []uint32 // their types
	tables    []CoreExtern
	memories  []CoreExtern
	globals   []CoreExtern
	tags      []CoreExtern
}

// Sections of a core module, by their numbers.
const (
	coreSectionType     = 1
	coreSectionImport   = 2
	coreSectionFunction = 3
	coreSectionTable    = 4
	coreSectionMemory   = 5
	coreSectionGlobal   = 6
	coreSectionExport   = 7
	coreSectionTag      = 13
)

// coreSectionPlace says how sections follow each other, by their numbers.
var coreSectionPlace = [...]int{
	coreSectionType: 1, coreSectionImport: 2, coreSectionFunction: 3, coreSectionTable: 4, coreSectionMemory: 5,
	coreSectionTag: 6, coreSectionGlobal: 7, coreSectionExport: 8,
	8: 9, 9: 10, 12: 11, 10: 12, 11: 13, // start, elements, number of data, code, data
}

func (m *coreReader) sections(r *reader) {
	place := 0
	for r.more() {
		at := r.at
		id := r.byte()
		s := r.within(r.u32())
		if id == sectionCustom {
			s.name()
			continue
		}
		if int(id) >= len(coreSectionPlace) {
			r.fail(at, "there is no section 0x%x", id)
		}
		if coreSectionPlace[id] <= place {
			r.fail(at, "section 0x%x is twice there, or in the wrong place", id)
		}
		place = coreSectionPlace[id]
		if m.section(s, id) {
			s.end("the section")
		}
	}
}

// section reads a section, or leaves it unread.
func (m *coreReader) section(r *reader, id byte) (read bool) {
	switch id {
	case coreSectionType:
		m.core.Groups = list(r, "types", m.group)
	case coreSectionImport:
		m.core.Imports = list(r, "imports", m.importItem)
	case coreSectionFunction:
		m.readFunctions(r)
	case coreSectionTable:
		m.tables = append(m.tables, list(r, "tables", m.table)...)
	case coreSectionMemory:
		m.memories = append(m.memories, list(r, "memories", (*reader).coreMemory)...)
	case coreSectionTag:
		m.tags = append(m.tags, list(r, "tags", m.tag)...)
	case coreSectionGlobal:
		m.globals = append(m.globals, list(r, "globals", m.global)...)
	case coreSectionExport:
		m.core.Exports = list(r, "exports", m.export)
	default:
		return false
	}
	return true
}

// group reads a recursion group. Its types may name each other.
func (m *coreReader) group(r *reader) []CoreSubType {
	at := r.at
	group := r.coreRecType()
	first := len(m.types)
	for i := range group {
		m.types = append(m.types, &group[i])
	}
	for i := range group {
		for _, super := range group[i].Supers {
			if uint64(super) >= uint64(first+i) {
				r.fail(at, "there is no type %d before its subtype", super)
			}
		}
		m.checkType(r, at, group[i].Type)
	}
	return group
}

func (m *coreReader) checkType(r *reader, at int, t CoreCompType) {
	switch t := t.(type) {
	case *CoreFuncType:
		for _, v := range t.Params {
			m.checkValue(r, at, v)
		}
		for _, v := range t.Results {
			m.checkValue(r, at, v)
		}
	case *CoreStructType:
		for _, f := range t.Fields {
			m.checkValue(r, at, f.Type)
		}
	case *CoreArrayType:
		m.checkValue(r, at, t.Field.Type)
	}
}

// checkValue refuses a reference to a type that is not there.
func (m *coreReader) checkValue(r *reader, at int, v CoreValType) {
	if v.Kind == CoreRef && v.Heap.Abstract == 0 {
		checkIndex(r, at, "type", v.Heap.Index, len(m.types))
	}
}

func checkIndex(r *reader, at int, what string, i uint32, n int) {
	if uint64(i) >= uint64(n) {
		r.fail(at, "there is no %s %d", what, i)
	}
}

// checkFunction refuses the number of a type that is no function's.
func (m *coreReader) checkFunction(r *reader, at int, t uint32) {
	checkIndex(r, at, "type", t, len(m.types))
	if _, ok := m.types[t].Type.(*CoreFuncType); !ok {
		r.fail(at, "type %d is no function's", t)
	}
}

func (m *coreReader) importItem(r *reader) CoreImport {
	at := r.at
	i := r.coreImport()
	switch t := i.Type; t.Sort {
	case SortCoreFunc:
		m.checkFunction(r, at, t.Type)
		m.functions = append(m.functions, t.Type)
	case SortCoreTag:
		m.checkFunction(r, at, t.Type)
		m.tags = append(m.tags, t)
	case SortCoreTable:
		m.checkValue(r, at, t.Value)
		m.tables = append(m.tables, t)
	case SortCoreGlobal:
		m.checkValue(r, at, t.Value)
		m.globals = append(m.globals, t)
	case SortCoreMemory:
		m.memories = append(m.memories, t)
	}
	return i
}

// readFunctions reads the types of functions. They are no items of what is read: only those that
// are exported stay.
func (m *coreReader) readFunctions(r *reader) {
	at := r.at
	n := r.count("functions")
	r.bound(at, "functions", n, maxFunctions)
	m.functions = slices.Grow(m.functions, n)
	for range n {
		at = r.at
		t := r.u32()
		m.checkFunction(r, at, t)
		m.functions = append(m.functions, t)
	}
}

func (m *coreReader) tag(r *reader) CoreExtern {
	at := r.at
	t := r.coreTag()
	m.checkFunction(r, at, t.Type)
	return t
}

// tableWithInit begins a table whose elements have another value than null at first.
const tableWithInit = 0x40

func (m *coreReader) table(r *reader) CoreExtern {
	at := r.at
	init := r.peek() == tableWithInit
	if init {
		r.at++
		r.zero("the form of a table")
	}
	t := r.coreTable()
	m.checkValue(r, at, t.Value)
	if init {
		r.constant()
	}
	return t
}

func (m *coreReader) global(r *reader) CoreExtern {
	at := r.at
	t := r.coreGlobal()
	m.checkValue(r, at, t.Value)
	r.constant()
	return t
}

func (m *coreReader) export(r *reader) CoreExportDecl {
	at := r.at
	e := CoreExportDecl{Name: r.name()}
	if _, twice := m.core.exports[e.Name]; twice {
		r.fail(at, "two exports have the same name")
	}
	m.core.exports[e.Name] = len(m.core.exports)
	kind, i := r.byte(), r.u32()
	if kind > 4 {
		r.fail(at, "an export of kind 0x%x is not known here", kind)
	}
	switch coreSorts[kind] {
	case SortCoreFunc:
		checkIndex(r, at, "function", i, len(m.functions))
		e.Type = CoreExtern{Sort: SortCoreFunc, Type: m.functions[i]}
	case SortCoreTable:
		e.Type = exported(r, at, "table", m.tables, i)
	case SortCoreMemory:
		e.Type = exported(r, at, "memory", m.memories, i)
	case SortCoreGlobal:
		e.Type = exported(r, at, "global", m.globals, i)
	case SortCoreTag:
		e.Type = exported(r, at, "tag", m.tags, i)
	}
	return e
}

func exported(r *reader, at int, what string, space []CoreExtern, i uint32) CoreExtern {
	checkIndex(r, at, what, i, len(space))
	return space[i]
}
