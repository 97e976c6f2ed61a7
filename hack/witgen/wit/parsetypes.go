package wit

import "strconv"

// definitions are the keywords that begin the definition of a type.
var definitions = []string{"type", "record", "variant", "enum", "flags", "resource"}

// typeDef takes the definition of a type.
func (p *parser) typeDef(i *Interface, gate Gate) {
	keyword := p.tok
	p.advance()
	d := &TypeDef{Gate: gate, Interface: i}
	if keyword.escaped {
		p.fail(keyword.pos, "%v begins no definition", keyword)
	}
	switch keyword.text {
	case "type":
		d.Ident = p.ident()
		p.want("=")
		d.Type = p.typ()
		p.want(";")
	case "record":
		d.Kind, d.Ident = Record, p.ident()
		p.list("{", "}", func() {
			f := Field{Ident: p.ident()}
			p.want(":")
			f.Type = p.typ()
			d.Fields = append(d.Fields, f)
		})
	case "variant":
		d.Kind, d.Ident = Variant, p.ident()
		p.list("{", "}", func() {
			f := Field{Ident: p.ident()}
			if p.take("(") {
				f.Type = p.typ()
				p.want(")")
			}
			d.Fields = append(d.Fields, f)
		})
	case "enum", "flags":
		d.Kind = Enum
		if keyword.text == "flags" {
			d.Kind = Flags
		}
		d.Ident = p.ident()
		p.list("{", "}", func() { d.Fields = append(d.Fields, Field{Ident: p.ident()}) })
	case "resource":
		d.Kind, d.Ident = Resource, p.ident()
		p.resourceBody(d)
	default:
		p.fail(keyword.pos, "%v begins no definition", keyword)
	}
	i.Types = append(i.Types, d)
}

func (p *parser) resourceBody(d *TypeDef) {
	if p.take(";") {
		return
	}
	p.want("{")
	for !p.take("}") {
		gate := p.gate()
		d.Funcs = append(d.Funcs, p.function(gate, d))
	}
}

// function takes a function: of a resource, or a free one.
func (p *parser) function(gate Gate, of *TypeDef) *Func {
	f := &Func{Gate: gate, Of: of}
	if of != nil && p.at("constructor") {
		f.Kind, f.Ident = Constructor, Ident{"constructor", p.tok.pos}
		p.advance()
		p.params(f)
		f.Result = p.named(Own, of.Ident)
		if p.take("->") {
			f.Result = p.typ()
		}
		p.want(";")
		return f
	}
	f.Ident = p.ident()
	p.want(":")
	if of != nil {
		f.Kind = Static
		if !p.take("static") {
			f.Kind = Method
			f.Params = []Field{{Ident{"self", of.Pos}, p.named(Borrow, of.Ident)}}
		}
	}
	p.funcType(f)
	p.want(";")
	return f
}

func (p *parser) named(kind Kind, of Ident) *Type { return &Type{Kind: kind, Pos: of.Pos, name: of} }

func (p *parser) funcType(f *Func) {
	f.Async = p.take("async")
	p.want("func")
	p.params(f)
	if p.take("->") {
		f.Result = p.typ()
	}
}

func (p *parser) params(f *Func) {
	p.list("(", ")", func() {
		param := Field{Ident: p.ident()}
		p.want(":")
		param.Type = p.typ()
		f.Params = append(f.Params, param)
	})
}

// typ takes a type.
func (p *parser) typ() *Type {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		p.fail(p.tok.pos, "types are nested more than %d levels deep", maxDepth)
	}
	t := &Type{Kind: Named, Pos: p.tok.pos}
	if p.tok.kind != word || p.tok.escaped || !reserved[p.tok.text] && !p.at("error-context") {
		t.name = p.ident()
		return t
	}
	keyword := p.tok
	p.advance()
	t.Kind = Kind(keyword.text)
	switch keyword.text {
	case "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string", "error-context":
	case "own", "borrow":
		p.want("<")
		t.name = p.ident()
		p.want(">")
	case "tuple":
		p.list("<", ">", func() { t.Args = append(t.Args, p.typ()) })
		if len(t.Args) == 0 {
			p.fail(keyword.pos, "a tuple has at least one type")
		}
	case "list":
		p.listType(t)
	case "option":
		p.want("<")
		t.Args = []*Type{p.typ()}
		p.want(">")
	case "map":
		p.want("<")
		key := p.typ()
		p.want(",")
		t.Args = []*Type{key, p.typ()}
		p.want(">")
	case "result":
		t.Args = []*Type{nil, nil}
		p.resultType(t)
	case "stream", "future":
		t.Args = []*Type{nil}
		if p.take("<") {
			t.Args[0] = p.typ()
			p.want(">")
		}
	default:
		p.fail(keyword.pos, "%v is where a type has to be", keyword)
	}
	return t
}

func (p *parser) listType(t *Type) {
	p.want("<")
	t.Args = []*Type{p.typ()}
	if p.take(",") {
		n, err := strconv.ParseUint(p.tok.text, 10, 32)
		if p.tok.kind != number || err != nil || n == 0 {
			p.fail(p.tok.pos, "%v is where the length of a list has to be", p.tok)
		}
		t.Kind, t.Length = FixedList, uint32(n)
		p.advance()
	}
	p.want(">")
}

func (p *parser) resultType(t *Type) {
	if !p.take("<") {
		return
	}
	if p.take("_") {
		p.want(",")
		t.Args[1] = p.typ()
	} else {
		t.Args[0] = p.typ()
		if p.take(",") && !p.take("_") {
			t.Args[1] = p.typ()
		}
	}
	p.want(">")
}
