package translate

import "slices"

// sizes are counts, in addition to those of module, on which the size of the engine's tables
// depends.
type sizes struct {
	importNames uint64 // bytes
	exportNames uint64 // bytes, of exports that stay
	data        uint64 // segments
	expressions uint64 // number of expressions that are elements
	passive     uint64 // elements of passive segments
}

// info returns the data about the module after it was read and written.
func (m *module) info(w *writer) Info {
	i := Info{
		Functions:   uint32(len(m.functions)),
		Memories:    m.memories[m.importedMemories:],
		Starts:      m.start >= 0,
		Grows:       m.added.grow,
		Heap:        m.heap(),
		Module:      m.names.module,
		calls:       m.callable(),
		shifts:      encodeShifts(w.shifts),
		nameEntries: m.names.entries,
		nameText:    m.names.text,
	}
	for _, t := range m.tables[m.importedTables:] {
		i.Tables = append(i.Tables, t.Table)
	}
	i.Overhead, i.InstanceOverhead = m.overhead()
	return i
}

// heap reports whether instances have a heap of objects. They have one if a function uses objects
// or exceptions, or if a table refers to them. Types that are only declared count, too.
func (m *module) heap() bool {
	return len(m.tags) > 0 || m.scan.managesObjects ||
		slices.ContainsFunc(m.types, func(t typeInfo) bool { return t.composite != functionType }) ||
		slices.ContainsFunc(m.tables, func(t tableInfo) bool { return t.kind == managed }) ||
		slices.Contains(m.globals, managed)
}

// overhead estimates the size of the engine's own tables. The figures were measured as the private
// memory of a process that loaded a module from a file. The module had 50,000 of each kind (1,000
// types of 917 parameters, 10,000 imports); with wasmtime 48 there were also 99,000 types in chains
// of 60 subtypes.
func (m *module) overhead() (module, instance uint64) {
	imports := uint64(m.imported + m.importedTables + m.importedMemories + m.importedGlobals)
	globals, segments := uint64(len(m.globals)), uint64(m.elementSegments)
	depths := uint64(0)
	for _, t := range m.types {
		depths += uint64(t.depth)
	}
	referred := m.referred()
	module = 24<<10 +
		24*uint64(len(m.functions)) + 16*referred +
		700*uint64(len(m.types)) + 8*depths + 48*uint64(len(m.kinds)) +
		136*imports + 2*m.sizes.importNames +
		100*globals +
		86*segments + 4*m.elements + 76*m.sizes.expressions +
		32*m.sizes.data +
		32*uint64(len(m.tags)) +
		136*uint64(len(m.exports)) + 2*m.sizes.exportNames
	instance = 4<<10 + 32*referred + 96*imports + 16*globals + 16*segments + 16*m.sizes.passive + 64*uint64(len(m.tables)+len(m.memories))
	instance += 16 * uint64(len(m.exports))
	if m.heap() {
		instance += 64 * referred // a function in an object is also in a table of the heap
	}
	return module, instance
}

// referred returns how many functions need more than their code: something may refer to them.
func (m *module) referred() uint64 {
	all := slices.Clone(m.keptFunctions)
	for _, more := range []numbers{m.declared, m.scan.refersTo} {
		for i, w := range more {
			if i == len(all) {
				all = append(all, 0)
			}
			all[i] |= w
		}
	}
	return all.count()
}
