package binary

import (
	"bytes"
	"slices"
)

// The beginning of a module or component: four bytes, the version, and the layer.
const headSize = 8

var (
	magic         = []byte("\x00asm")
	headModule    = []byte("\x00asm\x01\x00\x00\x00")
	headComponent = []byte("\x00asm\x0d\x00\x01\x00")
)

// IsComponent reports whether a file with that beginning, of at least 8 bytes, is a component and
// not a core module. Its version may be one that Decode refuses.
func IsComponent(head []byte) bool {
	return len(head) >= headSize && bytes.HasPrefix(head, magic) && head[6] == 1 && head[7] == 0
}

// Sections of a component, by their numbers.
const (
	sectionCustom       = 0
	sectionCoreModule   = 1
	sectionCoreInstance = 2
	sectionCoreType     = 3
	sectionComponent    = 4
	sectionInstance     = 5
	sectionAlias        = 6
	sectionType         = 7
	sectionCanon        = 8
	sectionStart        = 9
	sectionImport       = 10
	sectionExport       = 11
	sectionValue        = 12
)

// Decode reads a component. The result refers to b, which must not change.
func Decode(b []byte) (c *Component, err error) {
	defer caught(&err)
	r := newReader(b, 0, "component", &counts{})
	r.file = &coreModules{}
	return r.component(0), nil
}

// component reads a component to the reader's end. It stands in that many others.
func (r *reader) component(depth int) *Component {
	start := r.at
	r.bound(start, "components within each other", depth+1, maxNesting)
	r.counts.components++
	r.bound(start, "components", r.counts.components, maxComponents)
	r.head(headComponent, "component")
	c := &Component{At: start}
	for r.more() {
		at := r.at
		id := r.byte()
		if id > sectionValue {
			r.fail(at, "there is no section 0x%x", id)
		}
		s := r.within(r.u32())
		r.section(c, s, id, at, depth)
		s.end("the section")
	}
	return c
}

// head reads the beginning of a module or component.
func (r *reader) head(want []byte, what string) {
	rest := r.b[r.at:]
	switch {
	case len(rest) < headSize:
		r.fail(r.at, "%d bytes are no WebAssembly", len(rest))
	case !bytes.HasPrefix(rest, magic):
		r.fail(r.at, "it is no WebAssembly")
	case !bytes.Equal(rest[6:headSize], want[6:]):
		r.fail(r.at+6, "it is no %s: its layer is %d", what, int(rest[6])|int(rest[7])<<8)
	case !bytes.HasPrefix(rest, want):
		r.fail(r.at+4, "it is a %s of version %d, and only version %d is known here", what, int(rest[4])|int(rest[5])<<8, want[4])
	}
	r.at += headSize
}

// section reads a section, which begins at the offset, into a component.
func (r *reader) section(c *Component, s *reader, id byte, at, depth int) {
	switch id {
	case sectionCustom:
		r.counts.customs++
		r.bound(at, "custom sections", r.counts.customs, maxCustoms)
		custom := Custom{Name: s.name()}
		custom.Data = s.take(uint32(len(s.b) - s.at))
		c.Customs = append(c.Customs, custom)
	case sectionCoreModule:
		r.defined(at)
		c.Definitions = append(c.Definitions, s.coreModule())
	case sectionComponent:
		r.defined(at)
		c.Definitions = append(c.Definitions, s.component(depth+1))
	case sectionStart, sectionValue:
		r.unsupported(at, "the component uses values, which are not supported")
	default:
		n := s.count("definitions")
		r.bound(s.at, "definitions", r.counts.definitions+n, maxDefinitions)
		c.Definitions = slices.Grow(c.Definitions, n)
		for range n {
			r.defined(s.at)
			c.Definitions = append(c.Definitions, s.definition(id))
		}
	}
}

// coreModule takes a module to the reader's end.
func (r *reader) coreModule() *CoreModule {
	at := r.at
	r.counts.modules++
	r.bound(at, "core modules", r.counts.modules, maxModules)
	r.head(headModule, "core module")
	r.at = len(r.b)
	return &CoreModule{Bytes: r.b[at:r.at:r.at], At: at, file: r.file}
}

// definition reads one of the definitions of a section that has many.
func (r *reader) definition(section byte) Definition {
	switch section {
	case sectionCoreInstance:
		return r.coreInstance()
	case sectionCoreType:
		return r.coreTypeDef(true)
	case sectionInstance:
		return r.instance()
	case sectionAlias:
		return r.alias()
	case sectionType:
		return r.typeDef(0)
	case sectionCanon:
		return r.canon()
	case sectionImport:
		at := r.at
		return &Import{Name: r.externName(), Type: r.externType(), At: at}
	default:
		return r.export()
	}
}
