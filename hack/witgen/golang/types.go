package golang

import (
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

// prims are the types of Go for those of WIT, and the methods of canon that move them.
var prims = map[wit.Kind]struct{ goType, method string }{
	"bool": {"bool", "Bool"}, "s8": {"int8", "S8"}, "u8": {"uint8", "U8"}, "s16": {"int16", "S16"}, "u16": {"uint16", "U16"},
	"s32": {"int32", "S32"}, "u32": {"uint32", "U32"}, "s64": {"int64", "S64"}, "u64": {"uint64", "U64"},
	"f32": {"float32", "F32"}, "f64": {"float64", "F64"}, "char": {"rune", "Char"}, "string": {"string", "String"},
}

const (
	// maxTuple is the largest tuple of different types that package typed has.
	maxTuple = 8
	// maxArray bounds the arrays that hold lists of a fixed length, which Go copies.
	maxArray = 1 << 16
	// maxWork bounds how many types are written out, which aliases that contain others twice double.
	maxWork = 1 << 18
)

func (g *generator) spend(pos wit.Pos) {
	if g.work++; g.work > maxWork {
		g.fail(pos, "the types are too large to be written out")
	}
}

// isBytes reports whether a type is a list of u8.
func isBytes(t *wit.Type) bool { return t.Kind == wit.List && t.Args[0].Meaning().Kind == "u8" }

// isArray reports whether a type is an array in Go: a list of fixed length, or a tuple of one type.
func (g *generator) isArray(t *wit.Type) bool {
	switch t.Kind {
	case wit.FixedList:
		return true
	case wit.Tuple:
		for _, a := range t.Args {
			if g.goType(a) != g.goType(t.Args[0]) {
				return false
			}
		}
		return true
	}
	return false
}

func (g *generator) arrayLength(t *wit.Type) int {
	if t.Kind == wit.Tuple {
		return len(t.Args)
	}
	if t.Length > maxArray {
		g.fail(t.Pos, "a list of fixed length has at most %d elements here", maxArray)
	}
	return int(t.Length)
}

// goType returns a type of Go. A type that is not there is typed.None.
func (g *generator) goType(t *wit.Type) string {
	if t == nil {
		return "typed.None"
	}
	g.spend(t.Pos)
	if p, ok := prims[t.Kind]; ok {
		return p.goType
	}
	switch {
	case t.Def != nil:
		return g.typeNames[t.Def]
	case isBytes(t):
		return "[]byte"
	case g.isArray(t):
		return fmt.Sprintf("[%d]%s", g.arrayLength(t), g.goType(t.Args[0]))
	}
	args := make([]string, len(t.Args))
	for i, a := range t.Args {
		args[i] = g.goType(a)
	}
	list := "[" + strings.Join(args, ", ") + "]"
	switch t.Kind {
	case wit.List:
		return "[]" + args[0]
	case wit.Map:
		return "[]typed.Tuple2" + list
	case wit.Tuple:
		if len(args) > maxTuple {
			g.fail(t.Pos, "a tuple of different types has at most %d here", maxTuple)
		}
		return fmt.Sprintf("typed.Tuple%d%s", len(args), list)
	case wit.Option:
		return "typed.Option" + list
	case wit.Result:
		return "typed.Result" + list
	case wit.Stream:
		return "typed.Stream" + list
	case wit.Future:
		return "typed.Future" + list
	}
	return "typed.ErrorContext"
}

// pair returns a map's elements, which are tuples.
func pair(t *wit.Type) *wit.Type { return &wit.Type{Kind: wit.Tuple, Pos: t.Pos, Args: t.Args} }

// isError reports whether a type of Go for an error of a result is an error of Go.
func (g *generator) isError(t *wit.Type) bool {
	if t == nil {
		return false
	}
	d := t.Meaning().Def
	return d != nil && g.errors[d]
}

// findErrors finds the types that are errors of results. A variant that has a field of that name
// cannot have the method Error.
func (g *generator) findErrors(t *wit.Type) {
	if t == nil {
		return
	}
	for _, a := range t.Args {
		g.findErrors(a)
	}
	if t.Kind != wit.Result || t.Args[1] == nil {
		return
	}
	d := t.Args[1].Meaning().Def
	if d == nil || d.Kind != wit.Enum && d.Kind != wit.Variant {
		return
	}
	for _, f := range d.Fields {
		if f.Type != nil && exported(f.Name) == "Error" {
			return
		}
	}
	g.errors[d] = true
}
