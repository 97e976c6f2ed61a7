package translate

import (
	"bytes"

	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
)

func (m *module) importSection(r *reader) {
	n := r.count("imports")
	r.bound(r.at, "imports", uint64(n), m.limits.Imports)
	for range n {
		at := r.at
		for range 2 {
			name := r.name()
			r.bound(at, "bytes of an import's name", uint64(len(name)), m.limits.ImportName)
			m.sizes.importNames += uint64(len(name))
		}
		switch kind := r.byte(); kind {
		case externFunction:
			m.addFunction(r, at)
			m.imported++
		case externTable:
			m.addTable(r, at)
			m.importedTables++
		case externMemory:
			m.addMemory(r, at)
			m.importedMemories++
		case externGlobal:
			if m.addGlobal(r, at) {
				r.need(MutableGlobals, at)
			}
			m.importedGlobals++
		case externTag:
			m.addTag(r, at)
		default:
			r.fail(at, "an import of kind 0x%x is not known here", kind)
		}
	}
}

func (m *module) functionSection(r *reader) {
	n := r.count("functions")
	r.bound(r.at, "functions", uint64(n+m.imported), m.limits.Functions)
	for range n {
		m.addFunction(r, r.at)
	}
}

func (m *module) addFunction(r *reader, at int) {
	t := r.u32()
	r.index(at, "type", t, len(m.types))
	if m.types[t].composite != functionType {
		r.fail(at, "type %d is no function's", t)
	}
	m.functions = append(m.functions, t)
}

func (m *module) tableSection(r *reader) {
	for range r.count("tables") {
		at := r.at
		if r.b[min(r.at, len(r.b)-1)] != typeEmpty {
			m.addTable(r, at)
			continue
		}
		r.need(TypedFunctionReferences, at)
		if r.take(2); r.b[r.at-1] != 0 {
			r.fail(at, "a table of a form that is not known here")
		}
		m.addTable(r, at)
		m.startValues += 150 + m.constant(r)
	}
}

func (m *module) addTable(r *reader, at int) {
	r.bound(at, "tables", uint64(len(m.tables))+1, m.limits.Tables)
	start := r.at
	k := m.referenceType(r)
	t := tableInfo{kind: k, ref: r.b[start:r.at]}
	flags := r.byte()
	m.limitFlags(r, at, flags, 7)
	t.Index, t.Min, t.Max = uint32(len(m.tables)), uint64(r.u32()), 1<<32-1
	if flags&1 != 0 {
		t.Max = uint64(r.u32())
	}
	m.tables = append(m.tables, t)
}

// limitFlags refuses flags of a memory's or a table's size that the supported engines do not know.
func (m *module) limitFlags(r *reader, at int, flags, known byte) {
	if flags&2 != 0 {
		r.need(SharedMemory, at)
	}
	if flags&4 != 0 {
		r.need(Memory64, at)
	}
	if flags&8&known != 0 {
		r.need(CustomPageSizes, at)
	}
	if flags > 1 {
		r.fail(at, "flags of a size 0x%x are not known here", flags)
	}
}

func (m *module) memorySection(r *reader) {
	for range r.count("memories") {
		m.addMemory(r, r.at)
	}
}

func (m *module) addMemory(r *reader, at int) {
	const most = 1 << 16 // pages of 64 KiB, 4 GiB
	n := uint64(len(m.memories)) + 1
	r.bound(at, "memories", n, m.limits.Memories)
	if n > 1 {
		r.need(MultiMemory, at)
	}
	flags := r.byte()
	m.limitFlags(r, at, flags, 15)
	mem := Memory{Index: uint32(n - 1), Min: uint64(r.u32()), Max: most}
	if flags&1 != 0 {
		mem.Max = uint64(r.u32())
	}
	r.bound(at, "pages of a memory", max(mem.Min, mem.Max), most)
	m.memories = append(m.memories, mem)
}

func (m *module) tagSection(r *reader) {
	r.need(ExceptionHandling, r.at)
	for range r.count("tags") {
		m.addTag(r, r.at)
	}
}

func (m *module) addTag(r *reader, at int) {
	r.need(ExceptionHandling, at)
	r.bound(at, "tags", uint64(len(m.tags))+1, m.limits.Tags)
	if r.byte() != 0 {
		r.fail(at, "a tag of a form that is not known here")
	}
	t := r.u32()
	r.index(at, "type", t, len(m.types))
	if m.types[t].composite != functionType {
		r.fail(at, "type %d is no function's", t)
	}
	m.tags = append(m.tags, &m.types[t])
}

func (m *module) globalSection(r *reader) {
	n := r.count("globals")
	r.bound(r.at, "globals", uint64(n+len(m.globals)), m.limits.Globals)
	for range n {
		m.addGlobal(r, r.at)
		values := m.constant(r)
		if m.globals[len(m.globals)-1] == managed {
			values += barrierValues
		}
		m.startValues += values + 4
	}
}

func (m *module) addGlobal(r *reader, at int) (mutable bool) {
	r.bound(at, "globals", uint64(len(m.globals))+1, m.limits.Globals)
	m.globals = append(m.globals, m.valueType(r))
	return m.mutability(r)
}

func (m *module) exportSection(r *reader) {
	n := r.count("exports")
	r.bound(r.at, "exports", uint64(n), m.limits.Exports)
	for range n {
		at := r.at
		name := r.name()
		if bytes.HasPrefix(name, []byte(OwnExports)) {
			r.fail(at, "it exports %q, and names that begin with %q are the host's", visible.Name(name), OwnExports)
		}
		kind, i := r.byte(), r.u32()
		switch kind {
		case externFunction:
			r.index(at, "function", i, len(m.functions))
		case externTable:
			r.index(at, "table", i, len(m.tables))
		case externMemory:
			r.index(at, "memory", i, len(m.memories))
		case externGlobal:
			r.index(at, "global", i, len(m.globals))
		case externTag:
			r.index(at, "tag", i, len(m.tags))
		default:
			r.fail(at, "an export of kind 0x%x is not known here", kind)
		}
		switch {
		case m.keepAll || m.kept(name):
			m.exports = append(m.exports, export{name, kind, i})
			m.sizes.exportNames += uint64(len(name))
			if kind == externFunction {
				m.keptFunctions.add(i)
			}
		case kind == externFunction:
			m.exported.add(i)
		}
	}
}

func (m *module) kept(name []byte) bool {
	for _, k := range m.keep {
		if bytes.Equal(k, name) {
			return true
		}
	}
	return false
}

func (m *module) startSection(r *reader) {
	at := r.at
	i := r.u32()
	r.index(at, "function", i, len(m.functions))
	if t := m.typeOf(i); t.params != 0 || t.results != 0 {
		r.fail(at, "function %d takes or gives something, and cannot be the start", i)
	}
	m.start = int(i)
}

func (m *module) codeSection(r *reader) {
	at := r.at
	n := r.count("functions")
	if n != len(m.functions)-m.imported {
		r.fail(at, "code of %d functions, and there are %d", n, len(m.functions)-m.imported)
	}
	m.scan.m = m
	for i := range n {
		r.function = m.imported + i
		body := r.within(r.u32())
		m.scan.body(body, m.typeOf(uint32(r.function)))
	}
	r.function = -1
}
