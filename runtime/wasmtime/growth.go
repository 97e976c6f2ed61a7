package wasmtime

import "bytes"

// Names of what watchGrowth exports besides what the module does.
const (
	ownExports = "krustlet:" // starts them all
	// refusedExport is the global that watchGrowth adds: the pages that the module's last memory.grow was refused, 0 if that
	// succeeded.
	refusedExport = ownExports + "refused"
	// tableExport is a table of the module, with a letter for its number behind it.
	tableExport = ownExports + "table-"
)

// tableName is the name of a table by its number, which is less than maxTables.
func tableName(i uint32) string { return tableExport + string(rune('a'+i)) }

// Sections of a module, by their numbers.
const (
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionExport   = 7
	sectionCode     = 10
)

// section is one of a module. Its content is without number and size.
type section struct {
	id      byte
	content []byte
	start   int // where the content was in the original
}

// watchGrowth makes refused growth of memory visible: every memory.grow becomes the call of a function that
// grows the memory, and leaves in a global whether it could. The engine itself does not tell; nor does it show tables that are not
// exported, so all are. Types, functions and globals are added behind those that there are, so that no number changes;
// shifts tells how offsets do. A module that has something that is not known here gives errUnknownBinary, and runs as it is.
func watchGrowth(wasm []byte) (out []byte, moved shifts, err error) {
	all, err := sections(wasm)
	if err != nil {
		return nil, nil, err
	}
	w := watcher{}
	if err := w.read(all); err != nil {
		return nil, nil, err
	}
	return w.write(wasm[:headerSize], all)
}

// headerSize is magic and version.
const headerSize = 8

func sections(wasm []byte) ([]section, error) {
	c := cursor{b: wasm}
	c.skip(headerSize)
	var all []section
	for c.more() {
		id := c.byte()
		size := c.u32()
		start := c.at
		all = append(all, section{id: id, content: c.take(int(size)), start: start})
	}
	return all, c.err
}

// watcher holds the numbers of what is added.
type watcher struct {
	typ, function, global uint32
	hasGlobals            bool
	tables                uint32
}

// read counts types, functions, globals and tables.
func (w *watcher) read(all []section) error {
	memory := false
	for _, s := range all {
		c := cursor{b: s.content}
		switch s.id {
		case sectionType:
			w.typ = c.types()
		case sectionImport:
			w.function += c.imports()
		case sectionFunction:
			w.function += c.u32()
		case sectionTable:
			w.tables = c.u32()
		case sectionGlobal:
			w.global, w.hasGlobals = c.u32(), true
		case sectionMemory:
			const address64 = 1 << 2
			memory = c.u32() == 1 && c.byte()&address64 == 0
		case sectionExport:
			if bytes.Contains(s.content, []byte(ownExports)) {
				return errUnknownBinary
			}
		}
		if c.err != nil {
			return c.err
		}
	}
	if !memory {
		return errUnknownBinary
	}
	return nil
}

// types counts the types, if all are functions on types of one byte.
func (c *cursor) types() uint32 {
	const function = 0x60
	n := c.u32()
	for range n {
		if c.byte() != function {
			c.fail()
		}
		for range 2 { // parameters, results
			for _, t := range c.take(int(c.u32())) {
				if t < 0x6f || t > 0x7f || t > 0x70 && t < 0x7b {
					c.fail()
				}
			}
		}
		if c.err != nil {
			return 0
		}
	}
	return n
}

// imports counts the imported functions. A command imports nothing else.
func (c *cursor) imports() uint32 {
	n := c.u32()
	for range n {
		_, _ = c.name(), c.name()
		if c.byte() != 0 {
			c.fail()
		}
		c.leb()
		if c.err != nil {
			return 0
		}
	}
	return n
}

// write puts the module together anew.
func (w *watcher) write(header []byte, all []section) ([]byte, shifts, error) {
	out := bytes.Clone(header)
	var moved shifts
	put := func(id byte, content []byte) int {
		out = append(out, id)
		out = appendU32(out, uint32(len(content)))
		out = append(out, content...)
		return len(out) - len(content)
	}
	for _, s := range all {
		if !w.hasGlobals && (s.id == sectionExport || s.id == sectionCode) {
			put(sectionGlobal, append([]byte{1}, refusedGlobal...))
			w.hasGlobals = true
		}
		switch s.id {
		case sectionType:
			put(s.id, extended(s.content, 1, 0x60, 1, 0x7f, 1, 0x7f)) // (i32) -> i32
		case sectionFunction:
			put(s.id, extended(s.content, 1, appendU32(nil, w.typ)...))
		case sectionGlobal:
			put(s.id, extended(s.content, 1, refusedGlobal...))
		case sectionExport:
			n, items := w.exports()
			put(s.id, extended(s.content, n, items...))
		case sectionCode:
			content, inside, err := w.code(s.content)
			if err != nil {
				return nil, nil, err
			}
			start := put(s.id, content)
			moved = inside.from(s.start, start)
		default:
			put(s.id, s.content)
		}
	}
	return out, moved, nil
}

// refusedGlobal is a mutable i32, zero at first.
var refusedGlobal = []byte{0x7f, 1, 0x41, 0, 0x0b}

// exports are what the module exports besides: the global, and its tables.
func (w *watcher) exports() (n uint32, items []byte) {
	add := func(name string, kind byte, index uint32) {
		n++
		items = append(append(appendU32(items, uint32(len(name))), name...), kind)
		items = appendU32(items, index)
	}
	const table, global = 1, 3
	add(refusedExport, global, w.global)
	for i := range min(w.tables, maxTables) {
		add(tableName(i), table, i)
	}
	return n, items
}

// extended is a section's list with n more items.
func extended(content []byte, n uint32, items ...byte) []byte {
	c := cursor{b: content}
	out := appendU32(nil, c.u32()+n)
	return append(append(out, content[c.at:]...), items...)
}

// code is the code section with its memory.grow replaced, and the function that replaces it.
func (w *watcher) code(content []byte) ([]byte, shifts, error) {
	c := cursor{b: content}
	n := c.u32()
	out := appendU32(make([]byte, 0, len(content)+1024), n+1)
	var moved shifts
	for range n {
		size := int(c.u32())
		start := c.at
		body, inside, err := w.body(c.take(size))
		if err != nil || c.err != nil {
			return nil, nil, errUnknownBinary
		}
		out = appendU32(out, uint32(len(body)))
		moved = append(moved, inside.from(start, len(out))...)
		out = append(out, body...)
	}
	grow := w.grow()
	out = appendU32(out, uint32(len(grow)))
	return append(out, grow...), moved, nil
}

// body is a function with its memory.grow replaced.
func (w *watcher) body(body []byte) ([]byte, shifts, error) {
	c := cursor{b: body}
	for n := c.u32(); n > 0 && c.err == nil; n-- { // locals
		c.leb()
		if t := c.byte(); t < 0x6f {
			c.fail() // a type of several bytes
		}
	}
	moved := shifts{{}}
	var out []byte
	copied := 0
	for c.more() {
		at := c.at
		if c.instruction() != opMemoryGrow {
			continue
		}
		out = append(append(out, body[copied:at]...), opCall)
		out = appendU32(out, w.function)
		copied = c.at
		moved = append(moved, shift{original: uint32(copied), moved: uint32(len(out))})
	}
	if c.err != nil {
		return nil, nil, c.err
	}
	if copied == 0 {
		return body, moved, nil
	}
	return append(out, body[copied:]...), moved, nil
}

// grow is the function that grows the memory.
func (w *watcher) grow() []byte {
	b := []byte{
		1, 1, 0x7f, // local 1, the result
		0x20, 0, opMemoryGrow, 0, 0x21, 1,
		0x20, 0, 0x41, 0, 0x20, 1, 0x41, 0x7f, 0x46, 0x1b, // parameter if the result is -1, else 0
		0x24,
	}
	b = appendU32(b, w.global)
	return append(b, 0x20, 1, 0x0b)
}
