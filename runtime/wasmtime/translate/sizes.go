package translate

import "slices"

// sizes are what the engine's tables grow with, besides what module counts.
type sizes struct {
	importNames uint64 // bytes
	data        uint64 // segments
}

// info is what is known of the module once it was read and written.
func (m *module) info(w *writer) Info {
	i := Info{
		Functions:   uint32(len(m.functions)),
		Memories:    m.memories[m.importedMemories:],
		Starts:      m.start >= 0,
		Grows:       len(m.grows) > 0,
		Heap:        len(m.tags) > 0 || slices.ContainsFunc(m.types, func(t typeInfo) bool { return t.composite != functionType }),
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

// overhead estimates the engine's own tables, by what was measured of wasmtime 39.
func (m *module) overhead() (module, instance uint64) {
	functions, imports := uint64(len(m.functions)), uint64(m.imported+m.importedTables+m.importedMemories+m.importedGlobals)
	globals, segments := uint64(len(m.globals)), uint64(m.elementSegments)
	module = 16<<10 +
		80*functions +
		300*uint64(len(m.types)) + 4*uint64(len(m.kinds)) +
		200*imports + 2*m.sizes.importNames +
		100*globals +
		128*segments + 16*m.elements +
		64*m.sizes.data +
		64*uint64(len(m.tags))
	instance = 4<<10 + 32*functions + 32*imports + 16*globals + 64*segments + 64*uint64(len(m.tables)+len(m.memories))
	return module, instance
}
