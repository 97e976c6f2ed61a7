package translate

// elementSection reads the element segments.
func (m *module) elementSection(r *reader) {
	m.elementSegments = r.count("element segments")
	r.bound(r.at, "element segments", uint64(m.elementSegments), m.limits.ElementSegs)
	for range m.elementSegments {
		m.elementSegment(r)
	}
}

// Bits of the form of an element segment.
const (
	elementsPassive     = 1 // or declared
	elementsExplicit    = 2 // the segment names a table, or is declared
	elementsExpressions = 4
)

func (m *module) elementSegment(r *reader) {
	at := r.at
	flags := r.u32()
	switch {
	case flags > 7:
		r.fail(at, "an element segment of form %d is not known here", flags)
	case flags&elementsExpressions != 0:
		r.need(ReferenceTypes, at)
	case flags != 0:
		r.need(BulkMemory, at)
	}
	active, space := flags&elementsPassive == 0, uint64(0)
	if active {
		table := uint32(0)
		if flags&elementsExplicit != 0 {
			table = r.u32()
		}
		r.index(at, "table", table, len(m.tables))
		space = m.tableSpace(r, &m.tables[table])
		m.startValues += m.constant(r) + 40
	}
	managedElements := false
	if flags&3 != 0 {
		managedElements = m.elementType(r, at, flags)
	}
	n := r.count("elements")
	if active && space < uint64(n) || flags&elementsExpressions != 0 {
		m.elementsAsCode = true
	}
	m.elements += uint64(n)
	if flags&3 == elementsPassive {
		m.sizes.passive += uint64(n)
	}
	r.bound(at, "elements", m.elements, m.limits.Elements)
	for range n {
		var values uint64
		if flags&elementsExpressions != 0 {
			m.sizes.expressions++
			values = m.constant(r)
		} else {
			i := r.u32()
			r.index(at, "function", i, len(m.functions))
			m.declared.add(i)
			values = 3
		}
		if managedElements {
			values += barrierValues
		}
		if active {
			values += 20
		}
		if !active || m.elementsAsCode {
			m.startValues += values
		}
	}
}

// tableSpace returns how many elements fit after a segment's offset, if the compiler can know the
// offset. For such segments the compiler fills the table itself, but only up to the first segment
// with an unknown offset.
func (m *module) tableSpace(r *reader, t *tableInfo) uint64 {
	const most = 1 << 20
	at, known := constantAddress(*r)
	if !known || t.Index < uint32(m.importedTables) || t.kind == managed || at >= min(t.Min, most) {
		return 0
	}
	return min(t.Min, most) - at
}

// elementType reads the type of a segment's elements, and reports whether the garbage collector
// follows them.
func (m *module) elementType(r *reader, at int, flags uint32) bool {
	if flags&elementsExpressions != 0 {
		return m.referenceType(r) == managed
	}
	if kind := r.byte(); kind != 0 {
		r.fail(at, "elements of kind 0x%x are not known here", kind)
	}
	return false
}

// dataSection reads the data segments.
func (m *module) dataSection(r *reader) {
	n := r.count("data segments")
	r.bound(r.at, "data segments", uint64(n), m.limits.DataSegs)
	if m.sections[sectionDataCount].there && n != m.dataCount {
		r.fail(r.at, "%d data segments, and %d were announced", n, m.dataCount)
	}
	m.sizes.data = uint64(n)
	images := make([]image, len(m.memories))
	var code uint64 // values, in the case that the compiler makes code for each segment
	for range n {
		code += m.dataSegment(r, images)
	}
	const perImage = 60
	for _, i := range images {
		if i.late || i.bytes > 0 && i.end-i.start >= max(2*i.bytes, maxSparse) {
			m.startValues += code
			return
		}
	}
	m.startValues += perImage * uint64(len(images))
}

// image is a memory's content at the start. The compiler builds it itself, unless it is sparse or
// not known.
type image struct {
	start, end, bytes uint64
	late              bool // a segment's offset becomes known only at the start
}

// maxSparse is the size up to which the compiler builds an image even if it has more gaps than
// content.
const maxSparse = 1 << 20

// dataSegment returns the number of values in the code for a segment.
func (m *module) dataSegment(r *reader, images []image) uint64 {
	const code = 60
	at := r.at
	flags := r.u32()
	if flags > 2 {
		r.fail(at, "a data segment of form %d is not known here", flags)
	}
	if flags > 0 {
		r.need(BulkMemory, at)
	}
	if flags == 1 {
		m.data(r)
		return 0
	}
	memory := uint32(0)
	if flags == 2 {
		memory = r.u32()
	}
	r.index(at, "memory", memory, len(m.memories))
	start, known := constantAddress(*r)
	values := m.constant(r) + code
	n := m.data(r)
	i, end := &images[memory], start+uint64(n)
	if !known || memory < uint32(m.importedMemories) || end > m.memories[memory].Min*pageSize {
		i.late = true
		return values
	}
	if i.bytes == 0 {
		i.start = start
	}
	i.start, i.end, i.bytes = min(i.start, start), max(i.end, end), i.bytes+uint64(n)
	return values
}

// data reads the bytes of a segment.
func (m *module) data(r *reader) (length uint32) {
	length = r.u32()
	r.take(length)
	m.dataLengths = append(m.dataLengths, length)
	return length
}

// constantAddress returns the value of an expression that is a single i32.const.
func constantAddress(r reader) (at uint64, known bool) {
	if r.byte() != opI32Const {
		return 0, false
	}
	at = uint64(uint32(r.signed(32)))
	return at, r.byte() == opEnd
}

// constant reads a constant expression, and returns the number of values that the compiler makes
// for it.
func (m *module) constant(r *reader) (values uint64) {
	start := r.at
	for n := uint64(0); ; n++ {
		r.bound(start, "instructions of a constant expression", n, m.limits.Constant)
		at := r.at
		code := r.byte()
		o := op{}
		switch code {
		case opEnd:
			return values
		case prefixGC:
			if code := r.u32(); code <= 0x08 && (code < 0x02 || code > 0x05) || code >= 0x1a && code <= 0x1c {
				o = gcOps[code]
			}
		case prefixSIMD:
			if r.u32() == 0x0c {
				o = simdOps[0x0c]
			}
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul
			o = op{plain, ExtendedConstants, 1, 0}
		case opI32Const, 0x42, 0x43, 0x44, opGlobalGet, opRefNull, opRefFunc:
			o = ops[code]
		}
		if o.shape == unknown {
			r.fail(at, "an instruction 0x%x cannot be in a constant expression", code)
		}
		if o.feature != firstVersion {
			r.need(o.feature, at)
		}
		values += uint64(o.values) + m.constantOperands(r, &o, at)
	}
}

// constantOperands reads the operands after an opcode in a constant expression, and returns the
// number of values for them.
func (m *module) constantOperands(r *reader, o *op, at int) uint64 {
	switch o.shape {
	case int32Const:
		r.signed(32)
	case int64Const:
		r.signed(64)
	case bytes4:
		r.take(4)
	case bytes8:
		r.take(8)
	case bytes16:
		r.take(16)
	case globalAccess:
		i := r.u32()
		r.index(at, "global", i, len(m.globals))
		if m.globals[i] == managed {
			return barrierValues
		}
	case refNull:
		m.heapType(r)
	case refFunc:
		i := r.u32()
		r.index(at, "function", i, len(m.functions))
		m.declared.add(i)
	case typeOp, arrayFixed:
		return m.constantObject(r, o, at)
	}
	return 0
}

func (m *module) constantObject(r *reader, o *op, at int) uint64 {
	i := r.u32()
	r.index(at, "type", i, len(m.types))
	t := &m.types[i]
	if t.composite == functionType {
		r.fail(at, "type %d is of another kind", i)
	}
	each := 6*uint64(t.params) + barrierValues*countManaged(m.params(t))
	if o.shape == arrayFixed {
		return each * uint64(r.u32())
	}
	return each
}
