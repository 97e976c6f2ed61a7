package canontest

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Case is a value of a variant, enum, option or result.
type Case struct {
	N     int
	Value any // nil if the case has none
}

// Flags is a value of flags.
type Flags uint32

// Char is a value of a char.
type Char rune

// Lift lifts a value of any type: numbers as uint8 to int64 and floats, a Char, string, Case, Flags
// or canon.Handle, and []any of lists, maps, records and tuples.
func Lift(v canon.Value) any {
	t := v.Type()
	switch t.Kind {
	case types.Bool:
		return v.Bool()
	case types.S8:
		return v.S8()
	case types.U8:
		return v.U8()
	case types.S16:
		return v.S16()
	case types.U16:
		return v.U16()
	case types.S32:
		return v.S32()
	case types.U32:
		return v.U32()
	case types.S64:
		return v.S64()
	case types.U64:
		return v.U64()
	case types.F32:
		return v.F32()
	case types.F64:
		return v.F64()
	case types.Char:
		return Char(v.Char())
	case types.String:
		return v.String()
	case types.List, types.Map:
		l := v.List()
		all := make([]any, 0, l.Reserve(16))
		for i := range l.Len() {
			all = append(all, Lift(l.At(i)))
		}
		return all
	case types.FixedList, types.Record, types.Tuple:
		all := []any{}
		for i := range fields(t) {
			all = append(all, Lift(v.Field(i)))
		}
		return all
	case types.Variant, types.Enum, types.Option, types.Result:
		c := Case{N: v.Case()}
		if t.Case(c.N) != nil {
			c.Value = Lift(v.Payload(c.N))
		}
		return c
	case types.Flags:
		return Flags(v.Flags())
	}
	return v.Handle()
}

// fields returns how many fields or elements values of a type have.
func fields(t *types.Type) int {
	if t.Kind == types.FixedList {
		return int(t.Length)
	}
	return len(t.Elems)
}

// Lower lowers what Lift returns.
func Lower(p canon.Place, value any) {
	t := p.Type()
	switch v := value.(type) {
	case bool:
		p.Bool(v)
	case int8:
		p.S8(v)
	case uint8:
		p.U8(v)
	case int16:
		p.S16(v)
	case uint16:
		p.U16(v)
	case int32:
		p.S32(v)
	case uint32:
		p.U32(v)
	case int64:
		p.S64(v)
	case uint64:
		p.U64(v)
	case float32:
		p.F32(v)
	case float64:
		p.F64(v)
	case Char:
		p.Char(rune(v))
	case string:
		p.String(v)
	case Flags:
		p.Flags(uint32(v))
	case canon.Handle:
		p.Handle(v)
	case Case:
		if place := p.Case(v.N); t.Case(v.N) != nil {
			Lower(place, v.Value)
		}
	case []any:
		lowerAll(p, t, v)
	default:
		panic(fmt.Sprintf("a value of type %T", value))
	}
}

func lowerAll(p canon.Place, t *types.Type, all []any) {
	if t.Kind == types.List || t.Kind == types.Map {
		l := p.List(len(all))
		for i, v := range all {
			Lower(l.At(i), v)
		}
		return
	}
	for i, v := range all {
		Lower(p.Field(i), v)
	}
}
