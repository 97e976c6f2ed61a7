package golang

import (
	"bytes"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

// defText writes a type.
func (g *generator) defText(b *bytes.Buffer, d *wit.TypeDef) {
	name := g.typeNames[d]
	kind := [...]string{wit.Alias: "type", wit.Record: "record", wit.Variant: "variant", wit.Enum: "enum", wit.Flags: "flags", wit.Resource: "resource"}[d.Kind]
	comment(b, fmt.Sprintf("%s is the %s %s of %s.", name, kind, d.Name, d.Interface.Unversioned()))
	switch d.Kind {
	case wit.Alias:
		fmt.Fprintf(b, "type %s = %s\n\n", name, g.goType(d.Type))
	case wit.Record:
		g.fieldsText(b, d, "")
	case wit.Variant:
		g.claim(name+"Case", d.Pos)
		g.fieldsText(b, d, name+"Case")
		comment(b, fmt.Sprintf("%sCase says which case of the variant %s it is.", name, name))
		g.constantsText(b, d, name+"Case", "", smallest(len(d.Fields)))
	case wit.Enum:
		g.constantsText(b, d, name, "", smallest(len(d.Fields)))
	case wit.Flags:
		g.constantsText(b, d, name, "1 << ", "uint32")
	case wit.Resource:
		fmt.Fprintf(b, "type %s interface {\ntyped.Resource\n", name)
		var methods []*wit.Func
		for _, f := range d.Funcs {
			if f.Kind == wit.Method {
				methods = append(methods, f)
			}
		}
		if len(methods) > 0 {
			g.methodsText(b, methods)
		}
		b.WriteString("}\n\n")
	}
	if g.errors[d] {
		of := "e"
		if d.Kind == wit.Variant {
			of = "e.Case"
		}
		comment(b, "Error returns the case's name in WIT.")
		fmt.Fprintf(b, "func (e %s) Error() string { return typed.Label(labels%s, int(%s)) }\n\n", name, name, of)
	}
	if len(d.Fields) > 0 && g.errors[d] {
		fmt.Fprintf(b, "var labels%s = %s\n\n", name, labels(d.Fields))
	}
}

// smallest returns the type of Go for the number of a case.
func smallest(n int) string {
	switch {
	case n <= 1<<8:
		return "uint8"
	case n <= 1<<16:
		return "uint16"
	}
	return "uint32"
}

// fieldsText writes a struct: of a record, or of a variant, whose case comes first.
func (g *generator) fieldsText(b *bytes.Buffer, d *wit.TypeDef, ofCase string) {
	names := map[string]bool{}
	fmt.Fprintf(b, "type %s struct {\n", g.typeNames[d])
	if ofCase != "" {
		names["Case"] = true
		fmt.Fprintf(b, "Case %s\n", ofCase)
	}
	for _, f := range d.Fields {
		if f.Type == nil {
			continue
		}
		name := exported(f.Name)
		if names[name] {
			g.fail(f.Pos, "two fields would be called %s in Go", name)
		}
		names[name] = true
		fmt.Fprintf(b, "%s %s\n", name, g.goType(f.Type))
	}
	b.WriteString("}\n\n")
}

// constantsText writes a type of numbers and its constants.
func (g *generator) constantsText(b *bytes.Buffer, d *wit.TypeDef, name, shift, of string) {
	fmt.Fprintf(b, "type %s %s\n\n", name, of)
	what := "Cases"
	if d.Kind == wit.Flags {
		what = "Flags"
	}
	comment(b, fmt.Sprintf("%s of %s.", what, g.typeNames[d]))
	b.WriteString("const (\n")
	for i, f := range d.Fields {
		constant := g.typeNames[d] + exported(f.Name)
		g.claim(constant, f.Pos)
		if i == 0 {
			fmt.Fprintf(b, "%s %s = %siota\n", constant, name, shift)
			continue
		}
		b.WriteString(constant + "\n")
	}
	b.WriteString(")\n\n")
}

func labels(fields []wit.Field) string {
	s := "[]string{"
	for i, f := range fields {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%q", f.Name)
	}
	return s + "}"
}

// moveText writes the function that lifts or lowers a record or variant.
func (g *generator) moveText(b *bytes.Buffer, w waiting) {
	name := g.typeNames[w.def]
	if w.lower {
		fmt.Fprintf(b, "func lower%s(p canon.Place, x %s) {\n", name, name)
	} else {
		fmt.Fprintf(b, "func lift%s(v canon.Value) (x %s) {\n", name, name)
	}
	switch {
	case w.def.Kind == wit.Record && w.lower:
		for i, f := range w.def.Fields {
			fmt.Fprintf(b, "%s\n", g.lower(f.Type, fmt.Sprintf("p.Field(%d)", i), "x."+exported(f.Name)))
		}
	case w.def.Kind == wit.Record:
		for i, f := range w.def.Fields {
			fmt.Fprintf(b, "x.%s = %s\n", exported(f.Name), g.lift(f.Type, fmt.Sprintf("v.Field(%d)", i)))
		}
	default:
		g.moveCases(b, w)
	}
	if !w.lower {
		b.WriteString("return x\n")
	}
	b.WriteString("}\n\n")
}

func (g *generator) moveCases(b *bytes.Buffer, w waiting) {
	name := g.typeNames[w.def]
	if w.lower {
		b.WriteString("p = p.Case(int(x.Case))\nswitch x.Case {\n")
	} else {
		fmt.Fprintf(b, "n := v.Case()\nx.Case = %sCase(n)\nswitch x.Case {\n", name)
	}
	for _, f := range w.def.Fields {
		if f.Type == nil {
			continue
		}
		field := "x." + exported(f.Name)
		fmt.Fprintf(b, "case %s%s:\n", name, exported(f.Name))
		if w.lower {
			fmt.Fprintf(b, "%s\n", g.lower(f.Type, "p", field))
		} else {
			fmt.Fprintf(b, "%s = %s\n", field, g.lift(f.Type, "v.Payload(n)"))
		}
	}
	b.WriteString("}\n")
}
