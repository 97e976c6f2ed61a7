package translate

// writer builds the translated module.
type writer struct {
	m      *module
	out    []byte
	shifts []shift
}

// write returns the module in the form that the engine compiles.
func (m *module) write() *writer {
	w := &writer{m: m, out: make([]byte, 0, len(m.wasm)+64)}
	w.out = append(w.out, header...)
	adding := len(m.added.list) > 0
	for _, id := range order {
		switch {
		case id == sectionType && adding:
			n, added := m.typesOfAdded()
			w.list(id, m.addedTypes, n, added)
		case id == sectionFunction && adding:
			w.list(id, len(m.functions)-m.imported, len(m.added.list), w.functionsAdded())
		case id == sectionTable && m.added.grow:
			_, added := m.growTable()
			w.list(id, len(m.tables)-m.importedTables, 1, added)
		case id == sectionExport:
			w.exports()
		case id == sectionStart:
		case id == sectionElement:
			w.elements()
		case id == sectionCode && adding:
			w.code()
		default:
			w.copy(id)
		}
	}
	if m.engineName != "" {
		w.section(sectionCustom, nameSection(m.engineName))
	}
	return w
}

// section appends a section.
func (w *writer) section(id byte, content []byte) {
	w.out = append(w.out, id)
	w.out = appendU32(w.out, uint32(len(content)))
	w.out = append(w.out, content...)
}

// content is the content of one of the module's sections.
func (w *writer) content(id byte) []byte {
	s := w.m.sections[id]
	return w.m.wasm[s.start:s.end]
}

// copy appends a section unchanged.
func (w *writer) copy(id byte) {
	s := w.m.sections[id]
	if !s.there {
		return
	}
	w.section(id, w.content(id))
	if id == sectionCode {
		w.shift(s.start, len(w.out)-(s.end-s.start))
	}
}

// shift notes that the content at an original offset was moved to another offset.
func (w *writer) shift(original, moved int) {
	s := shift{uint32(original), uint32(moved)}
	if n := len(w.shifts); n > 0 && s.moved-s.original == w.shifts[n-1].moved-w.shifts[n-1].original {
		return
	}
	w.shifts = append(w.shifts, s)
}

// list appends a section that is a list, with additional items at its end.
func (w *writer) list(id byte, n, more int, items []byte) {
	content := w.content(id)
	if len(content) > 0 {
		r := reader{b: content, function: -1}
		r.u32()
		content = content[r.at:]
	}
	all := appendU32(make([]byte, 0, len(content)+len(items)+5), uint32(n+more))
	w.section(id, append(append(all, content...), items...))
}

func (w *writer) functionsAdded() (b []byte) {
	for i := range w.m.added.list {
		b = appendU32(b, w.m.typeOfAdded(uint32(i)))
	}
	return b
}

// exports writes the kept exports and our own.
func (w *writer) exports() {
	m := w.m
	n := uint32(len(m.exports))
	var items []byte
	add := func(name []byte, kind byte, index uint32) {
		items = appendU32(items, uint32(len(name)))
		items = append(append(items, name...), kind)
		items = appendU32(items, index)
	}
	for _, e := range m.exports {
		add(e.name, e.kind, e.index)
	}
	if m.start >= 0 {
		add([]byte(StartExport), externFunction, uint32(m.start))
		n++
	}
	if m.added.grow {
		table, _ := m.growTable()
		add([]byte(GrowExport), externTable, table)
		n++
	}
	if n > 0 {
		w.section(sectionExport, append(appendU32(nil, n), items...))
	}
}

// elements writes the module's segments, and one that declares functions whose exports were
// removed. ref.func may name only functions that are exported or in a segment.
func (w *writer) elements() {
	m := w.m
	var functions []byte
	n := uint32(0)
	for i := range uint32(len(m.functions)) {
		if m.exported.has(i) && m.scan.refersTo.has(i) && !m.declared.has(i) {
			functions = appendU32(functions, i)
			n++
		}
	}
	if n == 0 {
		w.copy(sectionElement)
		return
	}
	declare := appendU32([]byte{elementsPassive | elementsExplicit, 0}, n)
	w.list(sectionElement, m.elementSegments, 1, append(declare, functions...))
}

// code writes the code with some instructions replaced by calls, and after it the added functions.
func (w *writer) code() {
	m := w.m
	s := m.sections[sectionCode]
	// Each call takes at most 4 bytes more than the instruction that it replaces. The same is true
	// for the lengths of functions and of the section.
	size := s.end - s.start + 8*len(m.sites) + 128*len(m.added.list) + 64
	content := make([]byte, 0, size)
	r := reader{b: m.wasm[:s.end], at: s.start, function: -1}
	n := r.u32()
	content = appendU32(content, n+uint32(len(m.added.list)))
	var inside []shift
	copied := r.at // content has everything up to this position
	flush := func(to int) {
		inside = append(inside, shift{uint32(copied), uint32(len(content))})
		content = append(content, m.wasm[copied:to]...)
		copied = to
	}
	sites := m.sites
	for range n {
		before := r.at
		length := r.u32()
		start := r.at
		end := start + int(length)
		r.at = end
		own := 0
		for own < len(sites) && sites[own].start < end {
			own++
		}
		if own == 0 {
			continue
		}
		flush(before)
		content = appendU32(content, w.grown(length, sites[:own]))
		copied = start
		for _, one := range sites[:own] {
			flush(one.start)
			content = w.call(content, one)
			copied = one.end
		}
		sites = sites[own:]
		flush(end)
	}
	flush(s.end)
	for _, a := range m.added.list {
		body := m.bodyOfAdded(a)
		content = append(appendU32(content, uint32(len(body))), body...)
	}
	w.section(sectionCode, content)
	base := len(w.out) - len(content)
	for _, one := range inside {
		w.shift(int(one.original), base+int(one.moved))
	}
}

// grown is the length of a function's body after its calls were inserted.
func (w *writer) grown(length uint32, sites []site) uint32 {
	for _, one := range sites {
		length += uint32(len(w.call(nil, one)) - (one.end - one.start))
	}
	return length
}

// call appends the call that replaces an instruction. If possible it has the same length, so that
// the following bytes keep their offsets.
func (w *writer) call(b []byte, s site) []byte {
	const longest = 5
	return appendWide(append(b, opCall), uint32(len(w.m.functions))+s.callee, min(s.end-s.start-1, longest))
}
