package golang

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

// hasHost reports whether an interface has functions that are no methods, which a host gives.
func (g *generator) hasHost(i *wit.Interface) bool {
	if !hosted(i) {
		return false
	}
	for _, f := range functionsOf(i) {
		if f.Kind != wit.Method {
			return true
		}
	}
	return false
}

// interfaceText writes an interface.
func (g *generator) interfaceText(b *bytes.Buffer, i *wit.Interface) {
	for _, d := range i.Types {
		if d.Kind == wit.Resource && i.Exported {
			g.fail(d.Pos, "%s is a resource of an interface that guests export, and these have no types in Go", d.Name)
		}
		g.defText(b, d)
	}
	if g.hasHost(i) {
		g.hostText(b, i)
	}
	for _, f := range functionsOf(i) {
		stub := ""
		if hosted(i) {
			stub = g.stubText(b, i, f)
		}
		if i.Exported {
			g.exportText(b, i, f)
		}
		g.functions = append(g.functions, g.row(i, f, stub))
	}
}

// hostText writes the interface of Go that has the functions that are no methods.
func (g *generator) hostText(b *bytes.Buffer, i *wit.Interface) {
	name := g.interfaceNames[i] + "Host"
	g.claim(name, i.Pos)
	comment(b, fmt.Sprintf("%s is the host's part of the interface %s.", name, i.Unversioned()))
	fmt.Fprintf(b, "type %s interface {\n", name)
	var own []*wit.Func
	for _, f := range functionsOf(i) {
		if f.Kind != wit.Method {
			own = append(own, f)
		}
	}
	g.methodsText(b, own)
	b.WriteString("}\n\n")
}

// methodsText writes methods of an interface of Go.
func (g *generator) methodsText(b *bytes.Buffer, all []*wit.Func) {
	names := map[string]bool{"Drop": all[0].Kind == wit.Method}
	for _, f := range all {
		name := g.methodName(f)
		if names[name] {
			g.fail(f.Pos, "two methods would be called %s in Go", name)
		}
		names[name] = true
		comment(b, fmt.Sprintf("%s is the function %s.", name, f.FullName()))
		fmt.Fprintf(b, "%s%s\n", name, g.signature(f))
	}
}

func (g *generator) methodName(f *wit.Func) string {
	switch f.Kind {
	case wit.Static:
		return exported(f.Of.Name) + exported(f.Name)
	case wit.Constructor:
		return "New" + exported(f.Of.Name)
	}
	return exported(f.Name)
}

// signature is what follows the name of a host function in Go.
func (g *generator) signature(f *wit.Func) string {
	ok, _, _ := g.outcome(f)
	params := []string{"ctx context.Context"}
	if f.Async {
		params = append(params, fmt.Sprintf("async typed.Async[%s]", g.goType(ok)))
	}
	for _, p := range arguments(f) {
		params = append(params, parameter(p.Name)+" "+g.goType(p.Type))
	}
	list := "(" + strings.Join(params, ", ") + ") "
	if ok == nil {
		return list + "error"
	}
	return list + "(" + g.goType(ok) + ", error)"
}

// arguments returns the parameters of a function without the resource of a method.
func arguments(f *wit.Func) []wit.Field {
	if f.Kind == wit.Method {
		return f.Params[1:]
	}
	return f.Params
}

// outcome returns what a function returns in Go: its value, or if its result is a result the value
// of that and the error. Each may be nil.
func (g *generator) outcome(f *wit.Func) (ok, fail *wit.Type, isResult bool) {
	if f.Result == nil {
		return nil, nil, false
	}
	if r := f.Result.Meaning(); r.Kind == wit.Result {
		return r.Args[0], r.Args[1], true
	}
	return f.Result, nil, false
}

// stubText writes the stub of a host function, and returns its name.
func (g *generator) stubText(b *bytes.Buffer, i *wit.Interface, f *wit.Func) string {
	of := ""
	if f.Of != nil {
		of = exported(f.Of.Name)
	}
	name := "call" + exported(i.Package.Name) + exported(i.Name) + of + exported(f.Name)
	g.claim(name, f.Pos)
	args := []string{"typed.Begin(c)"}
	if f.Async {
		args = append(args, "a")
	}
	for n, p := range f.Params {
		if n > 0 || f.Kind != wit.Method {
			args = append(args, g.lift(p.Type, fmt.Sprintf("c.Arg(%d)", n)))
		}
	}
	on := "host(c)." + g.interfaceNames[i]
	if f.Kind == wit.Method {
		on = g.lift(f.Params[0].Type, "c.Arg(0)")
	}
	call := fmt.Sprintf("%s.%s(%s)", on, g.methodName(f), strings.Join(args, ", "))
	ok, _, _ := g.outcome(f)
	answer := g.answer(f)
	fmt.Fprintf(b, "func %s(c *canon.Call) {\n", name)
	switch {
	case f.Async && ok == nil:
		fmt.Fprintf(b, "a := typed.Async[typed.None]{Call: c, Answer: %s}\na.Finish(typed.None{}, %s)\n", answer, call)
	case f.Async:
		fmt.Fprintf(b, "a := typed.Async[%s]{Call: c, Answer: %s}\na.Finish(%s)\n", g.goType(ok), answer, call)
	case ok == nil:
		fmt.Fprintf(b, "err := %s\n%s(c, typed.None{}, err)\n", call, answer)
	default:
		fmt.Fprintf(b, "r, err := %s\n%s(c, r, err)\n", call, answer)
	}
	b.WriteString("}\n\n")
	return name
}

// answer returns the name of the function that lowers what a function returns.
func (g *generator) answer(f *wit.Func) string {
	ok, fail, isResult := g.outcome(f)
	name := "answer" + g.mangled(f.Result)
	text := &strings.Builder{}
	fmt.Fprintf(text, "func %s(c *canon.Call, r %s, err error) {\n", name, g.goType(ok))
	switch {
	case isResult:
		fmt.Fprintf(text, "if err != nil {\n%s\nreturn\n}\n", g.lowerError(fail))
		if ok == nil {
			text.WriteString("c.Result().Case(0)\n")
		} else {
			fmt.Fprintf(text, "p := c.Result().Case(0)\n%s\n", g.lower(ok, "p", "r"))
		}
	case ok == nil:
		text.WriteString("typed.Check(err)\n")
	default:
		fmt.Fprintf(text, "typed.Check(err)\np := c.Result()\n%s\n", g.lower(ok, "p", "r"))
	}
	text.WriteString("}")
	if before, ok := g.answers[name]; ok && before != text.String() {
		g.fail(f.Pos, "two functions would be called %s in Go", name)
	}
	g.answers[name] = text.String()
	return name
}

func (g *generator) lowerError(fail *wit.Type) string {
	if g.isError(fail) {
		return fmt.Sprintf("typed.LowerError(c.Result(), err, %s)", g.lowerFunc(fail))
	}
	return fmt.Sprintf("typed.LowerFailure(c.Result(), err, %s)", g.lowerFunc(fail))
}

// exportText writes functions that lower the arguments of a function that the host calls, and lift
// its result.
func (g *generator) exportText(b *bytes.Buffer, i *wit.Interface, f *wit.Func) {
	name := g.interfaceNames[i]
	if of := exported(f.Name); f.Of != nil {
		name += exported(f.Of.Name) + of
	} else if of != name {
		name += of
	}
	what := fmt.Sprintf("%s of %s, which a component exports.", f.FullName(), i.Unversioned())
	if len(f.Params) > 0 {
		g.claim("Lower"+name+"Args", f.Pos)
		comment(b, fmt.Sprintf("Lower%sArgs lowers the arguments of %s", name, what))
		params, lower := []string{"p canon.Place"}, ""
		for n, p := range f.Params {
			params = append(params, fmt.Sprintf("%s %s", parameter(p.Name), g.goType(p.Type)))
			lower += g.lower(p.Type, fmt.Sprintf("p.Field(%d)", n), parameter(p.Name)) + "\n"
		}
		fmt.Fprintf(b, "func Lower%sArgs(%s) {\n%s}\n\n", name, strings.Join(params, ", "), lower)
	}
	ok, fail, isResult := g.outcome(f)
	if f.Result == nil {
		return
	}
	g.claim("Lift"+name+"Result", f.Pos)
	comment(b, fmt.Sprintf("Lift%sResult lifts the result of %s", name, what))
	fmt.Fprintf(b, "func Lift%sResult(v canon.Value) ", name)
	if !isResult {
		fmt.Fprintf(b, "%s { return %s }\n\n", g.goType(ok), g.lift(ok, "v"))
		return
	}
	lift := "typed.LiftFailure(v, " + g.liftFunc(fail) + ")"
	if g.isError(fail) {
		lift = "typed.LiftError(v, " + g.liftFunc(fail) + ")"
	}
	if ok == nil {
		fmt.Fprintf(b, "error {\nif v.Case() != 0 {\nreturn %s\n}\nreturn nil\n}\n\n", lift)
		return
	}
	fmt.Fprintf(b, "(r %s, err error) {\nif v.Case() != 0 {\nreturn r, %s\n}\nv = v.Payload(0)\nreturn %s, nil\n}\n\n", g.goType(ok), lift, g.lift(ok, "v"))
}
