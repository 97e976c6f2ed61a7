package translate

// added is a function that is added to a module. Instructions of one kind are replaced by calls of
// it.
type added struct {
	operation operation
	index     uint32 // the table that grows, or the memory that grows or is written
	from      uint32 // for a copy, the memory that is read; for an initialisation, the segment
}

// operation is the work of an added function.
type operation uint8

const (
	growMemory operation = iota
	growTable
	fillMemory
	copyMemory
	initMemory
)

// grows reports whether the function asks the host.
func (a added) grows() bool { return a.operation == growMemory || a.operation == growTable }

// additions are the added functions, in their order.
type additions struct {
	list  []added
	index map[added]uint32
	grow  bool // whether one of them grows something
}

// of returns the index of a function, and adds the function if it is missing.
func (all *additions) of(one added) uint32 {
	if i, ok := all.index[one]; ok {
		return i
	}
	if all.index == nil {
		all.index = map[added]uint32{}
	}
	i := uint32(len(all.list))
	all.index[one] = i
	all.list = append(all.list, one)
	all.grow = all.grow || one.grows()
	return i
}

// site is an instruction that is replaced by a call of an added function.
type site struct {
	start, end int
	callee     uint32 // its index in additions
}

// Types that are added after the module's own: the type of the host's function, and then one for
// each added function.
func (m *module) hostType() uint32            { return uint32(len(m.types)) }
func (m *module) typeOfAdded(i uint32) uint32 { return m.hostType() + 1 + i }

// typesOfAdded returns the added types, and their number.
func (m *module) typesOfAdded() (n int, b []byte) {
	b = append(b, typeFunction, 2, typeI32, typeI32, 1, typeI32)
	for _, a := range m.added.list {
		switch a.operation {
		case growMemory:
			b = append(b, typeFunction, 1, typeI32, 1, typeI32)
		case growTable:
			b = append(b, typeFunction, 2)
			b = append(b, m.tables[a.index].ref...)
			b = append(b, typeI32, 1, typeI32)
		default:
			b = append(b, typeFunction, 3, typeI32, typeI32, typeI32, 0)
		}
	}
	return 1 + len(m.added.list), b
}

// bodyOfAdded returns the code of an added function, with its locals.
func (m *module) bodyOfAdded(a added) []byte {
	if a.grows() {
		return m.growFunction(a)
	}
	return a.bulkFunction()
}

// appendSigned appends the shortest signed LEB128.
func appendSigned(b []byte, v int32) []byte {
	for v < -64 || v > 63 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

// appendWide appends an LEB128 of this number of bytes, or of more bytes if the number needs them.
func appendWide(b []byte, v uint32, bytes int) []byte {
	for ; v >= 0x80 || bytes > 1; bytes-- {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}
