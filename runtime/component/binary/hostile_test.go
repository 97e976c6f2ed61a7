package binary

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// nestedComponents are that many components within each other.
func nestedComponents(n int) []byte {
	var sizes [][]byte // of each section, the innermost first
	size := headSize
	for range n - 1 {
		head := bytesOf(sectionComponent, leb(size))
		sizes = append(sizes, head)
		size += len(head) + headSize
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	b.Write(headComponent)
	for i := range sizes {
		b.Write(sizes[len(sizes)-1-i])
		b.Write(headComponent)
	}
	return b.Bytes()
}

// nestedTypes are that many component types within each other, in one section.
func nestedTypes(n int) []byte {
	return component(section(sectionType, 1, repeated(bytesOf(typeComponent, 1, declareType), n-1), typeComponent, 0))
}

// TestBounds: each bound holds, and what is just within it is read.
func TestBounds(t *testing.T) {
	types := func(n int) []byte { return section(sectionType, leb(n), repeated([]byte{0x73}, n)) }
	enums := func(n int) []byte {
		return section(sectionType, 2, typeEnum, leb(n/2), make([]byte, n/2), typeEnum, leb(n-n/2), make([]byte, n-n/2))
	}
	for _, c := range []struct {
		what   string
		most   int
		binary func(n int) []byte
	}{
		{"components within each other", maxNesting, nestedComponents},
		{"types within each other", maxNesting, nestedTypes},
		{"definitions", maxDefinitions, func(n int) []byte { return component(types(n)) }},
		{"definitions", maxDefinitions, func(n int) []byte {
			return component(section(sectionComponent, component(types(n-1-n/2))), types(n/2))
		}},
		{"definitions", maxDefinitions, func(n int) []byte {
			return component(section(sectionType, 1, typeInstance, leb(n-1), repeated([]byte{declareType, 0x73}, n-1)))
		}},
		{"items of lists", maxItems, func(n int) []byte { return component(enums(n)) }},
		{"components", maxComponents, func(n int) []byte {
			return component(repeated(section(sectionComponent, headComponent), n-1))
		}},
		{"core modules", maxModules, func(n int) []byte { return component(repeated(section(sectionCoreModule, headModule), n)) }},
		{"custom sections", maxCustoms, func(n int) []byte { return component(repeated(section(sectionCustom, name("")), n)) }},
		{"bytes of a name", maxName, func(n int) []byte {
			return component(section(sectionImport, 1, 0, name(strings.Repeat("n", n)), 1, 0))
		}},
	} {
		if _, err := Decode(c.binary(c.most)); err != nil {
			t.Errorf("%d %s: %v", c.most, c.what, err)
		}
		_, err := Decode(c.binary(c.most + 1))
		want := fmt.Sprintf("%d %s, at most %d may be", c.most+1, c.what, c.most)
		if !errors.Is(err, ErrUnsupported) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%d %s: %v, want %q", c.most+1, c.what, err, want)
		}
	}
}

func TestBoundsOfCoreModules(t *testing.T) {
	functions := func(n int) []byte { return module(section(1, 1, 0x60, 0, 0), section(3, leb(n), make([]byte, n))) }
	types := func(n int) []byte { return module(section(1, leb(n), repeated(bytesOf(0x4e, 0), n))) }
	for _, c := range []struct {
		what   string
		most   int
		binary func(n int) []byte
	}{
		{"functions", maxFunctions, functions},
		{"items of lists", maxItems, types},
	} {
		if _, err := ReadCore(c.binary(c.most)); err != nil {
			t.Errorf("%d %s: %v", c.most, c.what, err)
		}
		_, err := ReadCore(c.binary(c.most + 1))
		want := fmt.Sprintf("%d %s, at most %d may be", c.most+1, c.what, c.most)
		if !errors.Is(err, ErrUnsupported) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%d %s: %v, want %q", c.most+1, c.what, err, want)
		}
	}
	// The modules of a file share the bound, and each is read once.
	half := section(sectionCoreModule, types(maxItems/2))
	modules := find[*CoreModule](decode(t, component(half, half, half)))
	for i, m := range modules {
		first, err := m.Core()
		if (err != nil) != (i == 2) {
			t.Errorf("module %d: %v", i, err)
		}
		if again, _ := m.Core(); again != first {
			t.Errorf("module %d is read twice", i)
		}
	}
}

// hostile are binaries that are small, and ask for much.
func hostile() map[string][]byte {
	const many = 200_000
	largest := bytesOf(0xff, 0xff, 0xff, 0xff, 0x0f)
	lies := map[string][]byte{ // what has a list of the largest length
		"definitions":  nil,
		"fields":       bytesOf(1, typeRecord),
		"labels":       bytesOf(1, typeFlags),
		"parameters":   bytesOf(1, typeFunc),
		"declarations": bytesOf(1, typeInstance),
		"a label":      bytesOf(1, typeEnum, 1),
	}
	all := map[string][]byte{
		"components within each other": nestedComponents(100_000),
		"types within each other":      nestedTypes(100_000),
		"built-ins":                    component(section(sectionCanon, leb(many), repeated(bytesOf(int(TaskCancel)), many))),
		"lists that are long and wrong": component(section(sectionInstance, leb(many), 1, leb(many),
			repeated(bytesOf(0, 0, 1, 0), many-1), make([]byte, many))),
		"empty sections":     component(repeated(section(sectionType, 0), many)),
		"custom sections":    component(repeated(section(sectionCustom, name("")), many)),
		"empty instances":    component(section(sectionInstance, leb(many), repeated(bytesOf(1, 0), many))),
		"instances":          component(section(sectionInstance, leb(100_000), repeated(bytesOf(1, 2, 0, 0, 1, 0, 0, 0, 1, 0), 100_000))),
		"imports":            component(section(sectionImport, leb(many), repeated(bytesOf(0, 0, 1, 0), many))),
		"core types":         component(section(sectionCoreType, leb(many), repeated(bytesOf(0x60, 0, 0), many))),
		"parameters":         component(section(sectionCoreType, 1, 0x60, leb(many), repeated([]byte{0x70}, many), 0)),
		"options":            component(section(sectionCanon, 1, 1, 0, 0, leb(many), repeated([]byte{3, 0}, many))),
		"attributes":         component(section(sectionImport, 1, 2, 0, leb(many), repeated([]byte{2, 0}, many), 1, 0)),
		"types of a module":  component(section(sectionCoreModule, module(section(1, leb(many), repeated(bytesOf(0x60, 0, 0), many))))),
		"imports of modules": component(section(sectionCoreModule, module(section(2, leb(many), repeated(bytesOf(0, 0, 2, 0, 0), many))))),
		"functions":          component(section(sectionCoreModule, module(section(1, 1, 0x60, 0, 0), section(3, leb(many), make([]byte, many))))),
		"a constant":         component(section(sectionCoreModule, module(section(6, 1, 0x7f, 0, repeated([]byte{0x41, 0}, many), 0x0b)))),
		"names":              component(named(section(namesOfSort, 1, leb(many), repeated(bytesOf(0, 1, "n"), many)))),
		"producers":          component(producersSection(1, name("sdk"), leb(many), repeated(bytesOf(1, "n", 0), many))),
	}
	for what, before := range lies {
		all["the length of "+what] = component(section(sectionType, before, largest, make([]byte, 1000)))
	}
	return all
}

// everything does with a binary all that this package does.
func everything(b []byte) (*Component, error) {
	c, err := Decode(b)
	if err != nil {
		return nil, err
	}
	Names(c)
	Producers(c)
	return c, readModules(c)
}

// readModules reads the core modules of a component. An error is that of a module.
func readModules(c *Component) (err error) {
	for _, m := range find[*CoreModule](c) {
		if _, e := m.Core(); e != nil {
			err = e
		}
	}
	for _, inner := range find[*Component](c) {
		if e := readModules(inner); e != nil {
			err = e
		}
	}
	return err
}

// allocated returns how many bytes f allocates, those that it does not keep included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Bytes that may be allocated for a binary: so many for each of its bytes, and at first.
const (
	memoryPerByte = 300
	memoryAtFirst = 64 << 10
)

func TestHostileBinaries(t *testing.T) {
	for name, b := range hostile() {
		var err error
		n := allocated(func() { _, err = everything(b) })
		if most := uint64(len(b))*memoryPerByte + memoryAtFirst; n > most {
			t.Errorf("%s: %d bytes are allocated for %d, at most %d may be (%v)", name, n, len(b), most, err)
		}
		t.Logf("%s: %d KB of binary, %d KB, %v", name, len(b)>>10, n>>10, err)
	}
}
