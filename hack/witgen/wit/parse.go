package wit

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// maxFile bounds a file; the largest one of WASI has 30 KiB with its comments.
	maxFile = 4 << 20
	// maxDepth bounds how deep types are nested where they are written.
	maxDepth = 64
)

// reserved are the words that are no names, unless they are written with a %.
var reserved = map[string]bool{}

func init() {
	for w := range strings.FieldsSeq(`as async bool borrow char constructor enum export f32 f64 flags from func future
		import include interface list map option own package record resource result s16 s32 s64 s8 static stream string
		tuple type u16 u32 u64 u8 use variant with world`) {
		reserved[w] = true
	}
}

// file is what a file has: of the package that it declares, or none, and of nested ones.
type file struct {
	declared *Package // or nil
	main     *Package
	nested   []*Package
	names    fileNames
}

type parser struct {
	lex   lexer
	tok   token
	depth int
	file  *file
}

// failure unwinds the parser.
type failure struct{ err error }

// parse reads a file.
func parse(name, text string) (f *file, err error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			f, err = nil, r.err
		default:
			panic(r)
		}
	}()
	p := &parser{lex: lexer{file: name, text: text, line: 1}, file: &file{main: &Package{}, names: fileNames{}}}
	p.advance()
	p.parseFile()
	return p.file, nil
}

func (p *parser) fail(pos Pos, format string, args ...any) {
	panic(failure{pos.errorf(format, args...)})
}

func (p *parser) advance() {
	t, err := p.lex.next()
	if err != nil {
		panic(failure{err})
	}
	p.tok = t
}

// at reports whether an operator or keyword is next.
func (p *parser) at(text string) bool {
	return p.tok.text == text && !p.tok.escaped && p.tok.kind != endOfFile
}

// take takes an operator or keyword if it is next, and reports whether it was.
func (p *parser) take(text string) bool {
	if !p.at(text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) want(text string) {
	if !p.take(text) {
		p.fail(p.tok.pos, "%v is where %q has to be", p.tok, text)
	}
}

func (p *parser) ident() Ident {
	if p.tok.kind != word {
		p.fail(p.tok.pos, "%v is where a name has to be", p.tok)
	}
	if reserved[p.tok.text] && !p.tok.escaped {
		p.fail(p.tok.pos, "%v is a keyword: as a name it is written %%%s", p.tok, p.tok.text)
	}
	id := Ident{p.tok.text, p.tok.pos}
	p.advance()
	return id
}

// version takes a version, whose first character follows the token that is next.
func (p *parser) version() string {
	if err := p.lex.skip(); err != nil {
		panic(failure{err})
	}
	pos := p.lex.pos()
	v := p.lex.version(p.lex.at)
	if _, err := parseVersion(v); err != nil {
		p.fail(pos, "%w", err)
	}
	p.advance()
	return v
}

// list takes items between two operators, with commas between them and perhaps after the last.
func (p *parser) list(begin, end string, item func()) {
	p.want(begin)
	for !p.take(end) {
		item()
		if !p.take(",") {
			p.want(end)
			return
		}
	}
}

func (p *parser) parseFile() {
	first := true
	for ; p.tok.kind != endOfFile; first = false {
		gate := p.gate()
		if !p.at("package") {
			p.packageItem(p.file.main, p.file.names, gate)
			continue
		}
		pos := p.tok.pos
		pkg := p.packageName()
		switch {
		case p.take("{"):
			names := fileNames{}
			for !p.take("}") {
				p.packageItem(pkg, names, p.gate())
			}
			p.file.nested = append(p.file.nested, pkg)
		case !first:
			p.fail(pos, "the package is named after the first item")
		default:
			p.want(";")
			p.file.declared, p.file.main = pkg, pkg
		}
	}
}

func (p *parser) packageName() *Package {
	p.want("package")
	pkg := &Package{Pos: p.tok.pos, Namespace: p.ident().Name}
	p.want(":")
	pkg.Name = p.ident().Name
	if p.at("@") {
		pkg.Version = p.version()
	}
	return pkg
}

func (p *parser) packageItem(pkg *Package, names fileNames, gate Gate) {
	switch {
	case p.take("use"):
		of := p.path()
		as := of.name
		if p.take("as") {
			as = p.ident()
		}
		p.want(";")
		if _, ok := names[as.Name]; ok {
			p.fail(as.Pos, "%s is defined twice", as.Name)
		}
		names[as.Name] = of
	case p.take("interface"):
		i := &Interface{Gate: gate, Package: pkg, Ident: p.ident(), scope: map[string]*TypeDef{}, names: names}
		p.interfaceBody(i)
		pkg.Interfaces = append(pkg.Interfaces, i)
	case p.take("world"):
		w := &World{Gate: gate, Package: pkg, Ident: p.ident(), names: names}
		p.worldBody(w)
		pkg.Worlds = append(pkg.Worlds, w)
	default:
		p.fail(p.tok.pos, "%v is where an interface, a world or a use has to be", p.tok)
	}
}

// gate takes the gates of an item.
func (p *parser) gate() Gate {
	g := Gate{Pos: p.tok.pos}
	for p.take("@") {
		name := p.ident()
		p.want("(")
		switch name.Name {
		case "since", "deprecated":
			p.wantName("version")
			if !p.at("=") {
				p.fail(p.tok.pos, "%v is where \"=\" has to be", p.tok)
			}
			// What is deprecated is still served.
			if v := p.version(); name.Name == "since" {
				g.Since = v
			}
		case "unstable":
			p.wantName("feature")
			p.want("=")
			g.Feature = p.ident().Name
		default:
			p.fail(name.Pos, "@%s is not known", name.Name)
		}
		p.want(")")
	}
	if g.Since != "" && g.Feature != "" {
		p.fail(g.Pos, "an item has @since or @unstable, and not both")
	}
	return g
}

func (p *parser) wantName(name string) {
	if id := p.ident(); id.Name != name {
		p.fail(id.Pos, "%s is where %s has to be", id.Name, name)
	}
}

// path takes the name of an interface or world.
func (p *parser) path() reference {
	id := p.ident()
	if !p.take(":") {
		return reference{name: id}
	}
	return p.pathAfter(id)
}

func (p *parser) pathAfter(namespace Ident) reference {
	of := reference{namespace: namespace.Name, pkg: p.ident().Name}
	p.want("/")
	of.name = p.ident()
	if p.at("@") {
		of.version = p.version()
	}
	return of
}

func (p *parser) worldBody(w *World) {
	p.want("{")
	for !p.take("}") {
		gate := p.gate()
		switch {
		case p.take("import"):
			p.external(&w.imports, gate)
		case p.take("export"):
			p.external(&w.exports, gate)
		case p.take("include"):
			w.includes = append(w.includes, gatedPath{gate, p.path()})
			if p.take("with") {
				p.list("{", "}", func() { p.rename() })
				continue
			}
			p.want(";")
		case p.take("use"):
			p.use(gate)
		default:
			// A world's own types are of no use to a host that answers interfaces.
			p.typeDef(&Interface{Package: w.Package, scope: map[string]*TypeDef{}}, gate)
		}
	}
}

// external takes what a world imports or exports. Functions and interfaces that have no definition
// of their own are read and left out.
func (p *parser) external(to *[]gatedPath, gate Gate) {
	id := p.ident()
	switch {
	case !p.take(":"):
		*to = append(*to, gatedPath{gate, reference{name: id}})
		p.want(";")
	case p.take("interface"):
		p.interfaceBody(&Interface{Ident: id, scope: map[string]*TypeDef{}})
	case p.at("func") || p.at("async"):
		p.funcType(&Func{Ident: id})
		p.want(";")
	default:
		*to = append(*to, gatedPath{gate, p.pathAfter(id)})
		p.want(";")
	}
}

func (p *parser) rename() rename {
	r := rename{name: p.ident()}
	r.as = r.name
	if p.take("as") {
		r.as = p.ident()
	}
	return r
}

func (p *parser) use(gate Gate) *use {
	u := &use{gate: gate, path: p.path()}
	p.want(".")
	p.list("{", "}", func() { u.names = append(u.names, p.rename()) })
	p.want(";")
	return u
}

func (p *parser) interfaceBody(i *Interface) {
	p.want("{")
	for !p.take("}") {
		gate := p.gate()
		switch {
		case p.take("use"):
			i.uses = append(i.uses, p.use(gate))
		case slices.ContainsFunc(definitions, p.at):
			p.typeDef(i, gate)
		default:
			i.Funcs = append(i.Funcs, p.function(gate, nil))
		}
	}
}
