package golang

import (
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

// lift returns an expression that lifts a value v.
func (g *generator) lift(t *wit.Type, v string) string {
	if t == nil {
		return "typed.LiftNone(" + v + ")"
	}
	g.spend(t.Pos)
	if d := t.Def; d != nil {
		if t = t.Meaning(); t.Def == nil {
			return g.lift(t, v)
		}
		return g.liftDefined(t, g.typeNames[d], v)
	}
	if p, ok := prims[t.Kind]; ok {
		return v + "." + p.method + "()"
	}
	switch {
	case isBytes(t):
		return v + ".Bytes()"
	case g.isArray(t):
		return g.liftFunc(t) + "(" + v + ")"
	}
	switch t.Kind {
	case wit.List:
		return fmt.Sprintf("typed.LiftList(%s, %s)", v, g.liftFunc(t.Args[0]))
	case wit.Map:
		return fmt.Sprintf("typed.LiftList(%s, %s)", v, g.liftFunc(pair(t)))
	case wit.Tuple:
		fields := make([]string, len(t.Args))
		for i, a := range t.Args {
			fields[i] = fmt.Sprintf("%c: %s", 'A'+i, g.lift(a, fmt.Sprintf("%s.Field(%d)", v, i)))
		}
		return g.goType(t) + "{" + strings.Join(fields, ", ") + "}"
	case wit.Option:
		return fmt.Sprintf("typed.LiftOption(%s, %s)", v, g.liftFunc(t.Args[0]))
	case wit.Result:
		return fmt.Sprintf("typed.LiftResult(%s, %s, %s)", v, g.liftFunc(t.Args[0]), g.liftFunc(t.Args[1]))
	case wit.Stream:
		return fmt.Sprintf("typed.LiftStream[%s](%s)", g.goType(t.Args[0]), v)
	case wit.Future:
		return fmt.Sprintf("typed.LiftFuture[%s](%s)", g.goType(t.Args[0]), v)
	}
	return "typed.LiftErrorContext(" + v + ")"
}

func (g *generator) liftDefined(t *wit.Type, name, v string) string {
	switch t.Def.Kind {
	case wit.Enum:
		return fmt.Sprintf("%s(%s.Case())", name, v)
	case wit.Flags:
		return fmt.Sprintf("%s(%s.Flags())", name, v)
	case wit.Resource:
		return fmt.Sprintf("typed.LiftResource[%s](%s)", name, v)
	}
	g.needLift(t.Def)
	return fmt.Sprintf("lift%s(%s)", g.typeNames[t.Def], v)
}

// liftFunc returns a function that lifts a value.
func (g *generator) liftFunc(t *wit.Type) string {
	if t == nil {
		return "typed.LiftNone"
	}
	t = t.Meaning()
	if p, ok := prims[t.Kind]; ok {
		return "canon.Value." + p.method
	}
	switch {
	case isBytes(t):
		return "canon.Value.Bytes"
	case g.isArray(t):
		return fmt.Sprintf("func(v canon.Value) (x %s) {\ntyped.LiftArray(x[:], v, %s)\nreturn x\n}", g.goType(t), g.liftFunc(t.Args[0]))
	case t.Def != nil && (t.Def.Kind == wit.Record || t.Def.Kind == wit.Variant):
		g.needLift(t.Def)
		return "lift" + g.typeNames[t.Def]
	case t.Kind == wit.Own || t.Kind == wit.Borrow:
		return "typed.LiftResource[" + g.goType(t) + "]"
	}
	return fmt.Sprintf("func(v canon.Value) %s { return %s }", g.goType(t), g.lift(t, "v"))
}

// lower returns statements that lower x to a place p.
func (g *generator) lower(t *wit.Type, p, x string) string {
	if t == nil {
		return ""
	}
	g.spend(t.Pos)
	t = t.Meaning()
	if prim, ok := prims[t.Kind]; ok {
		return fmt.Sprintf("%s.%s(%s)", p, prim.method, x)
	}
	switch {
	case t.Def != nil:
		return g.lowerDefined(t, p, x)
	case isBytes(t):
		return fmt.Sprintf("%s.Bytes(%s)", p, x)
	case g.isArray(t):
		return fmt.Sprintf("typed.LowerArray(%s, %s[:], %s)", p, x, g.lowerFunc(t.Args[0]))
	}
	switch t.Kind {
	case wit.List:
		return fmt.Sprintf("typed.LowerList(%s, %s, %s)", p, x, g.lowerFunc(t.Args[0]))
	case wit.Map:
		return fmt.Sprintf("typed.LowerList(%s, %s, %s)", p, x, g.lowerFunc(pair(t)))
	case wit.Tuple:
		fields := make([]string, len(t.Args))
		for i, a := range t.Args {
			fields[i] = g.lower(a, fmt.Sprintf("%s.Field(%d)", p, i), fmt.Sprintf("%s.%c", x, 'A'+i))
		}
		return strings.Join(fields, "\n")
	case wit.Option:
		return fmt.Sprintf("typed.LowerOption(%s, %s, %s)", p, x, g.lowerFunc(t.Args[0]))
	case wit.Result:
		return fmt.Sprintf("typed.LowerResult(%s, %s, %s, %s)", p, x, g.lowerFunc(t.Args[0]), g.lowerFunc(t.Args[1]))
	case wit.Stream:
		return fmt.Sprintf("typed.LowerStream(%s, %s)", p, x)
	case wit.Future:
		return fmt.Sprintf("typed.LowerFuture(%s, %s)", p, x)
	}
	return fmt.Sprintf("typed.LowerErrorContext(%s, %s)", p, x)
}

func (g *generator) lowerDefined(t *wit.Type, p, x string) string {
	switch t.Def.Kind {
	case wit.Enum:
		return fmt.Sprintf("%s.Case(int(%s))", p, x)
	case wit.Flags:
		return fmt.Sprintf("%s.Flags(uint32(%s))", p, x)
	case wit.Resource:
		return fmt.Sprintf("typed.LowerResource(%s, %s)", p, x)
	}
	g.needLower(t.Def)
	return fmt.Sprintf("lower%s(%s, %s)", g.typeNames[t.Def], p, x)
}

// lowerFunc returns a function that lowers a value.
func (g *generator) lowerFunc(t *wit.Type) string {
	if t == nil {
		return "typed.LowerNone"
	}
	t = t.Meaning()
	if p, ok := prims[t.Kind]; ok {
		return "canon.Place." + p.method
	}
	switch {
	case isBytes(t):
		return "canon.Place.Bytes"
	case t.Def != nil && (t.Def.Kind == wit.Record || t.Def.Kind == wit.Variant):
		g.needLower(t.Def)
		return "lower" + g.typeNames[t.Def]
	case t.Kind == wit.Own || t.Kind == wit.Borrow:
		return "typed.LowerResource[" + g.goType(t) + "]"
	}
	return fmt.Sprintf("func(p canon.Place, x %s) {\n%s\n}", g.goType(t), g.lower(t, "p", "x"))
}

// element is how values of a stream or future move.
type element struct{ goType, lower, lift string }

// elementsOf makes the variables that say how the values of streams and futures in a type move.
func (g *generator) elementsOf(t *wit.Type) {
	if t == nil {
		return
	}
	for _, a := range t.Args {
		g.elementsOf(a)
	}
	if t.Kind != wit.Stream && t.Kind != wit.Future {
		return
	}
	of := t.Args[0]
	name := "Element" + g.mangled(of)
	if e, ok := g.elements[name]; ok && e.goType == g.goType(of) {
		return
	}
	g.claim(name, t.Pos)
	e := element{goType: g.goType(of)}
	if of == nil || of.Meaning().Kind != "u8" {
		e.lower, e.lift = g.lowerFunc(of), g.liftFunc(of)
	}
	g.elements[name] = e
}
