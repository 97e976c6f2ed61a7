package translate

import "slices"

// growth is a memory or a table that the module's code grows.
type growth struct {
	table bool
	index uint32
}

// what is the number by which the host is asked.
func (g growth) what() uint32 {
	if g.table {
		return TableGrowth | g.index
	}
	return g.index
}

// grows are the functions that are added: one for each memory and table that grows.
type grows []growth

// of is the place of a growth.
func (g *grows) of(one growth) uint32 {
	if i := slices.Index(*g, one); i >= 0 {
		return uint32(i)
	}
	*g = append(*g, one)
	return uint32(len(*g) - 1)
}

// site is an instruction that becomes the call of an added function.
type site struct {
	start, end int
	callee     uint32 // its place in grows
}

// Types that are added, behind the module's own: the host's function, and then one for each added function.
func (m *module) hostType() uint32         { return uint32(len(m.types)) }
func (m *module) growType(i uint32) uint32 { return m.hostType() + 1 + i }

// growTypes are the added types, with their number.
func (m *module) growTypes() (n int, b []byte) {
	b = append(b, typeFunction, 2, typeI32, typeI32, 1, typeI32)
	for _, g := range m.grows {
		if g.table {
			b = append(b, typeFunction, 2)
			b = append(b, m.tables[g.index].ref...)
		} else {
			b = append(b, typeFunction, 1)
		}
		b = append(b, typeI32, 1, typeI32)
	}
	return 1 + len(m.grows), b
}

// growTable is the table that is added, with its number: it holds the host's function.
func (m *module) growTable() (index uint32, b []byte) {
	return uint32(len(m.tables)), []byte{typeFuncref, 1, 1, 1}
}

// growFunction is an added function's body: it asks the host, grows, and gives back what the host granted if that fails.
//
//	if ask(what, delta) { r = grow(delta); if r == -1 { ask(what|failed, delta) } } else { r = -1 }
func (m *module) growFunction(g growth) []byte {
	delta := byte(0)
	if g.table {
		delta = 1 // behind the new elements' value
	}
	result := delta + 1
	ask := func(b []byte, what uint32) []byte {
		table, _ := m.growTable()
		b = appendSigned(append(b, opI32Const), int32(what))
		b = append(b, opLocalGet, delta, opI32Const, 0, opCallIndir)
		return appendU32(appendU32(b, m.hostType()), table)
	}
	const (
		localSet = 0x21
		localTee = 0x22
		equal    = 0x46
		drop     = 0x1a
		minusOne = 0x7f // as a signed number
	)
	b := []byte{1, 1, typeI32}
	b = ask(b, g.what())
	b = append(b, opIf, typeEmpty)
	if g.table {
		b = append(b, opLocalGet, 0, opLocalGet, delta, prefixMisc, 15)
	} else {
		b = append(b, opLocalGet, delta, opMemoryGrow)
	}
	b = appendU32(b, g.index)
	b = append(b, localTee, result, opI32Const, minusOne, equal, opIf, typeEmpty)
	b = append(ask(b, g.what()|GrowthFailed), drop, opEnd)
	b = append(b, opElse, opI32Const, minusOne, localSet, result, opEnd)
	return append(b, opLocalGet, result, opEnd)
}

// appendSigned is the shortest signed LEB128.
func appendSigned(b []byte, v int32) []byte {
	for v < -64 || v > 63 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}
