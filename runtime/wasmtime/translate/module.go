package translate

import (
	"bytes"
	"math/bits"
	"slices"
)

// module is the data about a module while it is read.
type module struct {
	wasm       []byte
	limits     Limits
	keep       [][]byte // names of exports
	keepAll    bool     // of them
	engineName string   // that the engine gets

	sections [numSections]section

	types      []typeInfo
	kinds      []kind // of all types
	groupEnd   int    // the number of types that the current type may name
	addedTypes int    // items of the type section
	functions  []uint32
	imported   int // number of imported functions
	tables     []tableInfo
	memories   []Memory
	tags       []*typeInfo
	globals    []kind

	importedTables, importedMemories, importedGlobals int

	elementSegments int
	elements        uint64
	elementsAsCode  bool // whether the compiler makes code for the following elements
	dataCount       int
	dataLengths     []uint32 // of the segments
	exports         []export
	exported        numbers // functions whose exports are removed
	keptFunctions   numbers // those whose exports stay
	declared        numbers // functions that ref.func may name without an export
	start           int     // the function, or -1

	liveWork    uint64 // see maxLiveWork
	startValues uint64 // of the compiler's code for the module's start
	sizes       sizes

	added additions
	sites []site
	bulks int // number of sites that fill or copy
	scan  scan
	names nameTable
}

// tableInfo is a table.
type tableInfo struct {
	Table
	kind kind
	ref  []byte // the type of its elements, in the module's encoding
}

// export is an export that is kept.
type export struct {
	name  []byte
	kind  byte
	index uint32
}

// Numbers of the sections of a module.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
	sectionTag       = 13
	numSections      = 14
)

// order is the order of the sections.
var order = []byte{sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionTag, sectionGlobal, sectionExport,
	sectionStart, sectionElement, sectionDataCount, sectionCode, sectionData}

// readOrder is the order in which they are read. The code is read last, because its translation
// depends on the data.
var readOrder = append(slices.DeleteFunc(slices.Clone(order), func(id byte) bool { return id == sectionCode }), sectionCode)

// section is the position of a section's content.
type section struct {
	there      bool
	start, end int
}

// Kinds of imports and exports.
const (
	externFunction = iota
	externTable
	externMemory
	externGlobal
	externTag
)

const headerSize = 8

var header = []byte("\x00asm\x01\x00\x00\x00")

// read reads the whole module.
func (m *module) read(f Features) {
	r := &reader{b: m.wasm, function: -1, on: f}
	switch {
	case !bytes.HasPrefix(m.wasm, header[:4]) || len(m.wasm) < headerSize:
		r.fail(0, "this is no WebAssembly module")
	case m.wasm[6] == 1 && m.wasm[7] == 0:
		r.fail(4, "this is a component, not a core module")
	case !bytes.Equal(m.wasm[:headerSize], header):
		r.fail(4, "this is WebAssembly of another version than 1")
	}
	const most = 1 << 30 // the engine has the same bound
	r.bound(0, "bytes of a module", uint64(len(m.wasm)), most)
	r.at = headerSize
	m.start = -1
	m.index(r)
	m.content(r)
}

// index finds the sections, and reads the names in them.
func (m *module) index(r *reader) {
	rank := -1
	for r.more() {
		at := r.at
		id := r.byte()
		body := r.within(r.u32())
		if id == sectionCustom {
			m.custom(body)
			continue
		}
		own := bytes.IndexByte(order, id)
		if own < 0 {
			r.fail(at, "a section %d is not known here", id)
		}
		if own <= rank {
			r.fail(at, "section %d is twice there, or in the wrong place", id)
		}
		rank = own
		m.sections[id] = section{true, body.at, len(body.b)}
	}
}

// open returns a reader for a section, or nil if the module has none.
func (m *module) open(r *reader, id int) *reader {
	s := m.sections[id]
	if !s.there {
		return nil
	}
	inner := *r
	inner.at, inner.b = s.start, m.wasm[:s.end]
	return &inner
}

// content reads the sections in order, but the code last. Each must be read to its end.
func (m *module) content(r *reader) {
	for _, id := range readOrder {
		s := m.open(r, int(id))
		if s == nil {
			continue
		}
		switch id {
		case sectionType:
			m.typeSection(s)
		case sectionImport:
			m.importSection(s)
		case sectionFunction:
			m.functionSection(s)
		case sectionTable:
			m.tableSection(s)
		case sectionMemory:
			m.memorySection(s)
		case sectionTag:
			m.tagSection(s)
		case sectionGlobal:
			m.globalSection(s)
		case sectionExport:
			m.exportSection(s)
		case sectionStart:
			m.startSection(s)
		case sectionElement:
			m.elementSection(s)
		case sectionDataCount:
			s.need(BulkMemory, s.at)
			m.dataCount = int(s.u32())
		case sectionCode:
			m.codeSection(s)
		case sectionData:
			m.dataSection(s)
		}
		if s.more() {
			s.fail(s.at, "bytes behind the end of section %d", id)
		}
	}
	if defined := len(m.functions) - m.imported; defined > 0 && !m.sections[sectionCode].there {
		r.fail(len(m.wasm), "%d functions have no code", defined)
	}
	r.bound(len(m.wasm), "values for the compiler in the module's start", m.startValues, m.limits.Values)
}

func (m *module) typeOf(function uint32) *typeInfo { return &m.types[m.functions[function]] }

// numbers is a set of numbers.
type numbers []uint64

func (b *numbers) add(i uint32) {
	if n := int(i/64) + 1; n > len(*b) {
		*b = append(*b, make([]uint64, n-len(*b))...)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b numbers) has(i uint32) bool { return int(i/64) < len(b) && b[i/64]>>(i%64)&1 != 0 }

// count returns how many numbers are in the set.
func (b numbers) count() (n uint64) {
	for _, w := range b {
		n += uint64(bits.OnesCount64(w))
	}
	return n
}
