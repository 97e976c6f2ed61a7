package golang

import (
	"bytes"
	"fmt"
	"go/format"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

// Options say what the generated package is called.
type Options struct {
	Package string // its name
	Of      string // what it is of, for comments: WASI 0.2
	Method  string // the method of canon.Call.Host that returns its Host: WASIP2
	// Also are other versions of packages that have the same functions, by the packages' names:
	// wasi:config. The empty one is for interfaces without a version.
	Also map[string][]string
}

// Generate returns the files of a Go package by their names.
func Generate(packages []*wit.Package, o Options) (files map[string][]byte, err error) {
	g := &generator{
		options: o, packages: packages,
		interfaceNames: map[*wit.Interface]string{}, typeNames: map[*wit.TypeDef]string{}, claimed: map[string]wit.Pos{},
		errors: map[*wit.TypeDef]bool{}, lifted: map[*wit.TypeDef]bool{}, lowered: map[*wit.TypeDef]bool{},
		elements: map[string]element{}, answers: map[string]string{}, indices: map[string]int32{},
		bodies: map[*wit.Package]*bytes.Buffer{},
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			files, err = nil, r.err
		default:
			panic(r)
		}
	}()
	return g.generate()
}

type generator struct {
	options        Options
	packages       []*wit.Package
	interfaceNames map[*wit.Interface]string
	typeNames      map[*wit.TypeDef]string
	claimed        map[string]wit.Pos
	errors         map[*wit.TypeDef]bool // that are errors of Go
	work           int

	bodies   map[*wit.Package]*bytes.Buffer
	elements map[string]element
	answers  map[string]string // functions that answer calls, and their results' types
	// lifted and lowered are the types that need a function; waiting are those whose function is not
	// written.
	lifted, lowered map[*wit.TypeDef]bool
	waiting         []waiting

	functions []row
	descs     []string
	indices   map[string]int32 // of descs
}

type waiting struct {
	def   *wit.TypeDef
	lower bool
}

// failure unwinds the generator.
type failure struct{ err error }

func (g *generator) fail(pos wit.Pos, format string, args ...any) {
	panic(failure{fmt.Errorf("%v: %w", pos, fmt.Errorf(format, args...))})
}

// needLift notes that a type needs a function that lifts it, needLower one that lowers it.
func (g *generator) needLift(d *wit.TypeDef) {
	if !g.lifted[d] {
		g.lifted[d] = true
		g.waiting = append(g.waiting, waiting{def: d})
	}
}

func (g *generator) needLower(d *wit.TypeDef) {
	if !g.lowered[d] {
		g.lowered[d] = true
		g.waiting = append(g.waiting, waiting{def: d, lower: true})
	}
}

func (g *generator) interfaces() (all []*wit.Interface) {
	for _, p := range g.packages {
		all = append(all, p.Interfaces...)
	}
	return all
}

// functionsOf returns an interface's functions: those of its resources, and its own.
func functionsOf(i *wit.Interface) (all []*wit.Func) {
	for _, d := range i.Types {
		all = append(all, d.Funcs...)
	}
	return append(all, i.Funcs...)
}

// hosted reports whether components get an interface of the host: all but those that worlds only
// export.
func hosted(i *wit.Interface) bool { return i.Imported || !i.Exported }

func (g *generator) generate() (map[string][]byte, error) {
	for _, name := range []string{"Host", "Guest", "Table"} {
		g.claim(name, wit.Pos{File: "the generator"})
	}
	g.nameAll()
	g.eachType(g.findErrors)
	g.eachType(g.elementsOf)
	for _, p := range g.packages {
		g.bodies[p] = &bytes.Buffer{}
		for _, i := range p.Interfaces {
			g.interfaceText(g.bodies[p], i)
		}
	}
	for n := 0; n < len(g.waiting); n++ {
		w := g.waiting[n]
		g.moveText(g.bodies[w.def.Interface.Package], w)
	}
	files := map[string][]byte{}
	for _, p := range g.packages {
		if err := g.file(files, p.Name+".go", p.FullName(), g.bodies[p].String()); err != nil {
			return nil, err
		}
	}
	if err := g.file(files, "bindings.go", g.options.Of, g.sharedText()); err != nil {
		return nil, err
	}
	return files, g.file(files, "table.go", g.options.Of, g.tableText())
}

// eachType calls visit for the types that the interfaces write down.
func (g *generator) eachType(visit func(*wit.Type)) {
	for _, i := range g.interfaces() {
		for _, d := range i.Types {
			visit(d.Type)
			for _, f := range d.Fields {
				visit(f.Type)
			}
		}
		for _, f := range functionsOf(i) {
			for _, p := range f.Params {
				visit(p.Type)
			}
			visit(f.Result)
		}
	}
}

const module = "github.com/krustlet-go/krustlet-wasi/"

// imports are the packages that generated code may need, by what they are called in it.
var imports = []struct{ name, path string }{
	{"context", "context"},
	{"canon", module + "runtime/component/canon"},
	{"typed", module + "runtime/component/typed"},
	{"types", module + "runtime/component/types"},
}

// file adds a file.
func (g *generator) file(files map[string][]byte, name, from, body string) error {
	if _, ok := files[name]; ok {
		return fmt.Errorf("two files would be called %s", name)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Code generated by hack/witgen from %s; DO NOT EDIT.\n\npackage %s\n\nimport (\n", from, g.options.Package)
	for n, i := range imports {
		if regexp.MustCompile(`\b` + i.name + `\.[A-Z]`).MatchString(body) {
			fmt.Fprintf(&b, "%q\n", i.path)
			if n == 0 {
				b.WriteString("\n")
			}
		}
	}
	fmt.Fprintf(&b, ")\n\n%s", body)
	text, err := format.Source(b.Bytes())
	if err != nil {
		return fmt.Errorf("formatting %s: %w", name, err)
	}
	files[name] = text
	return nil
}

// sharedText is what the package has besides the interfaces.
func (g *generator) sharedText() string {
	var b strings.Builder
	comment(&b, "Host has the host's functions for one guest, by their interfaces.")
	b.WriteString("type Host struct {\n")
	for _, i := range g.interfaces() {
		if g.hasHost(i) {
			fmt.Fprintf(&b, "%s %sHost // %s\n", g.interfaceNames[i], g.interfaceNames[i], i.Unversioned())
		}
	}
	b.WriteString("}\n\n")
	comment(&b, "Lacks returns the interfaces of WIT that h lacks. A call of a function of one would end in a panic.")
	b.WriteString("func (h *Host) Lacks() (names []string) {\nlack := func(name string, functions any) {\nif functions == nil {\n")
	b.WriteString("names = append(names, name)\n}\n}\n")
	for _, i := range g.interfaces() {
		if g.hasHost(i) {
			fmt.Fprintf(&b, "lack(%q, h.%s)\n", i.Unversioned(), g.interfaceNames[i])
		}
	}
	b.WriteString("return names\n}\n\n")
	comment(&b, "Guest is what canon.Call.Host has to be: the host's state of one guest.")
	fmt.Fprintf(&b, "type Guest interface {\ntyped.Guest\n// %s returns the functions of %s.\n%s() *Host\n}\n\n", g.options.Method, g.options.Of, g.options.Method)
	fmt.Fprintf(&b, "func host(c *canon.Call) *Host { return c.Host.(Guest).%s() }\n\n", g.options.Method)
	for _, name := range slices.Sorted(maps.Keys(g.elements)) {
		e := g.elements[name]
		comment(&b, fmt.Sprintf("%s says how values of type %s move in streams and futures.", name, e.goType))
		fmt.Fprintf(&b, "var %s = typed.Element[%s]{", name, e.goType)
		if e.lower != "" {
			fmt.Fprintf(&b, "\nLower: %s,\nLift: %s,\n", e.lower, e.lift)
		}
		b.WriteString("}\n\n")
	}
	for _, name := range slices.Sorted(maps.Keys(g.answers)) {
		fmt.Fprintf(&b, "%s\n\n", g.answers[name])
	}
	return b.String()
}

const width = 100

// comment writes a comment of lines that are not too wide.
func comment(b io.StringWriter, text string) {
	line := "//"
	for w := range strings.FieldsSeq(text) {
		if len(line)+1+len(w) > width-1 {
			_, _ = b.WriteString(line + "\n")
			line = "//"
		}
		line += " " + w
	}
	_, _ = b.WriteString(line + "\n")
}
