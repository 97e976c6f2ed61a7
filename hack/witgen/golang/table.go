package golang

import (
	"fmt"
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

// row is a function in the table.
type row struct{ iface, name, text string }

// row returns a function's row.
func (g *generator) row(i *wit.Interface, f *wit.Func, stub string) row {
	var b strings.Builder
	fmt.Fprintf(&b, "{Interface: %q, Version: %q, Name: %q", i.Unversioned(), i.Package.Version, f.FullName())
	if also := g.options.Also[i.Package.Namespace+":"+i.Package.Name]; len(also) > 0 {
		fmt.Fprintf(&b, ", Also: %#v", also)
	}
	if f.Async {
		b.WriteString(", Async: true")
	}
	if len(f.Params) > 0 {
		params := make([]*wit.Type, len(f.Params))
		for n, p := range f.Params {
			params[n] = p.Type
		}
		fmt.Fprintf(&b, ", Labels: %s, Params: %s", labels(f.Params), g.indexList(params))
	}
	fmt.Fprintf(&b, ", Result: %s", indexText(g.index(f.Result)))
	if stub != "" {
		b.WriteString(", Stub: " + stub)
	}
	return row{i.Unversioned(), f.FullName(), b.String() + "},\n"}
}

const missing = -1

func indexText(n int32) string {
	if n == missing {
		return "missing"
	}
	return fmt.Sprint(n)
}

func (g *generator) indexList(all []*wit.Type) string {
	texts := make([]string, len(all))
	for i, t := range all {
		texts[i] = indexText(g.index(t))
	}
	return "[]int32{" + strings.Join(texts, ", ") + "}"
}

// kinds are the names of types.Kind where they are not the exported ones of WIT's keywords.
var kinds = map[wit.Kind]string{wit.FixedList: "FixedList"}

// index returns the index of a type in the table. Types that are the same have one index.
func (g *generator) index(t *wit.Type) int32 {
	if t == nil {
		return missing
	}
	g.spend(t.Pos)
	t = t.Meaning()
	kind := kinds[t.Kind]
	if kind == "" {
		kind = exported(string(t.Kind))
	}
	elems, length := t.Args, ""
	switch {
	case t.Kind == wit.Option:
		elems = []*wit.Type{nil, t.Args[0]}
	case t.Kind == wit.Map:
		elems = []*wit.Type{pair(t)}
	case t.Kind == wit.FixedList:
		length = fmt.Sprintf(", Length: %d", t.Length)
	case t.Def != nil:
		return g.indexDefined(t)
	}
	text := "Kind: types." + kind
	if len(elems) > 0 {
		text += ", Elems: " + g.indexList(elems)
	}
	return g.intern(text + length)
}

func (g *generator) indexDefined(t *wit.Type) int32 {
	d := t.Def
	if d.Kind == wit.Resource {
		if p := d.Interface.Package; len(g.options.Also[p.Namespace+":"+p.Name]) > 0 {
			g.fail(d.Pos, "%s is a resource, which has one version, and its package has several", d.Name)
		}
		return g.intern(fmt.Sprintf("Kind: types.%s, Resource: %q", exported(string(t.Kind)), resourceName(d)))
	}
	kind := [...]string{wit.Record: "Record", wit.Variant: "Variant", wit.Enum: "Enum", wit.Flags: "Flags"}[d.Kind]
	names := labels(d.Fields)
	if g.errors[d] {
		names = "labels" + g.typeNames[d]
	}
	text := fmt.Sprintf("Kind: types.%s, Labels: %s", kind, names)
	if d.Kind == wit.Record || d.Kind == wit.Variant {
		elems := make([]*wit.Type, len(d.Fields))
		for i, f := range d.Fields {
			elems[i] = f.Type
		}
		text += ", Elems: " + g.indexList(elems)
	}
	return g.intern(text)
}

// resourceName returns the name of a resource with the part of the version that says what is
// compatible.
func resourceName(d *wit.TypeDef) string {
	name := d.Interface.Unversioned()
	if v := d.Interface.Package.Version; v != "" {
		name += "@" + compatible(v)
	}
	return name + "#" + d.Name
}

func compatible(version string) string {
	if strings.Contains(version, "-") {
		return version
	}
	numbers := strings.Split(version, ".")
	for i, n := range numbers {
		if n != "0" {
			return strings.Join(numbers[:i+1], ".")
		}
	}
	return version
}

func (g *generator) intern(text string) int32 {
	n, ok := g.indices[text]
	if !ok {
		n = int32(len(g.descs))
		g.indices[text] = n
		g.descs = append(g.descs, text)
	}
	return n
}

// tableText is the table.
func (g *generator) tableText() string {
	slices.SortFunc(g.functions, func(a, b row) int {
		if c := strings.Compare(a.iface, b.iface); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	var b strings.Builder
	comment(&b, fmt.Sprintf("Table has all functions of %s.", g.options.Of))
	b.WriteString("var Table = typed.Table{\nTypes: []typed.Desc{\n")
	for i, d := range g.descs {
		fmt.Fprintf(&b, "%d: {%s},\n", i, d)
	}
	b.WriteString("},\nFunctions: []typed.Function{\n")
	for _, f := range g.functions {
		b.WriteString(f.text)
	}
	b.WriteString("},\n}\n\nconst missing = typed.Missing\n")
	return b.String()
}
