package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// value is a value as wasm-tools writes it.
type value struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

func decode[T any](raw json.RawMessage) (v T) {
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(fmt.Errorf("reading a value of a test: %w", err))
	}
	return v
}

func number(raw json.RawMessage) uint64 {
	s := decode[string](raw)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(n)
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// put lowers a value of a test.
func put(to canon.Place, v value) {
	switch to.Type().Kind {
	case types.Bool:
		to.Bool(string(v.Value) == "true")
	case types.U8:
		to.U8(uint8(number(v.Value)))
	case types.S8:
		to.S8(int8(number(v.Value)))
	case types.U16:
		to.U16(uint16(number(v.Value)))
	case types.S16:
		to.S16(int16(number(v.Value)))
	case types.U32, types.S32, types.F32:
		to.U32(uint32(number(v.Value)))
	case types.U64, types.S64, types.F64:
		to.U64(number(v.Value))
	case types.Char:
		r, _ := utf8.DecodeRuneInString(decode[string](v.Value))
		to.Char(r)
	case types.String:
		to.String(decode[string](v.Value))
	case types.Flags:
		var bits uint32
		for _, l := range decode[[]string](v.Value) {
			bits |= 1 << slices.Index(to.Type().Labels, l)
		}
		to.Flags(bits)
	default:
		putParts(to, v)
	}
}

func putParts(to canon.Place, v value) {
	t := to.Type()
	switch t.Kind {
	case types.List, types.Map:
		all := decode[[]value](v.Value)
		places := to.List(len(all))
		for i, e := range all {
			put(places.At(i), e)
		}
	case types.Tuple, types.FixedList:
		for i, e := range decode[[]value](v.Value) {
			put(to.Field(i), e)
		}
	case types.Record:
		for i, f := range decode[[][2]json.RawMessage](v.Value) {
			put(to.Field(i), decode[value](f[1]))
		}
	case types.Enum:
		to.Case(slices.Index(t.Labels, decode[string](v.Value)))
	case types.Variant:
		c := decode[struct {
			Case    string
			Payload *value
		}](v.Value)
		putCase(to, slices.Index(t.Labels, c.Case), c.Payload)
	case types.Option:
		some := decode[*value](v.Value)
		if some == nil {
			to.Case(0)
		} else {
			putCase(to, 1, some)
		}
	case types.Result:
		of := decode[map[string]*value](v.Value)
		if ok, is := of["Ok"]; is {
			putCase(to, 0, ok)
		} else {
			putCase(to, 1, of["Err"])
		}
	default:
		panic(fmt.Errorf("a test gives a value of type %s", v.Type))
	}
}

func putCase(to canon.Place, n int, payload *value) {
	if p := to.Case(n); payload != nil {
		put(p, *payload)
	}
}

// text writes a value that a component returned, so that two can be compared.
func text(v canon.Value) string {
	t := v.Type()
	var parts []string
	switch t.Kind {
	case types.Bool:
		return strconv.FormatBool(v.Bool())
	case types.U8, types.S8:
		return number2(t.Kind == types.S8, int64(v.S8()), uint64(v.U8()))
	case types.U16, types.S16:
		return number2(t.Kind == types.S16, int64(v.S16()), uint64(v.U16()))
	case types.U32, types.S32:
		return number2(t.Kind == types.S32, int64(v.S32()), uint64(v.U32()))
	case types.U64, types.S64:
		return number2(t.Kind == types.S64, v.S64(), v.U64())
	case types.F32:
		return strconv.FormatUint(uint64(math.Float32bits(v.F32())), 10)
	case types.F64:
		return strconv.FormatUint(math.Float64bits(v.F64()), 10)
	case types.Char:
		return strconv.Quote(string(v.Char()))
	case types.String:
		return strconv.Quote(v.String())
	case types.Flags:
		for i, l := range t.Labels {
			if v.Flags()>>i&1 != 0 {
				parts = append(parts, l)
			}
		}
	case types.List, types.Map:
		list := v.List()
		for i := range list.Len() {
			parts = append(parts, text(list.At(i)))
		}
	case types.Tuple, types.Record:
		for i := range t.Elems {
			parts = append(parts, text(v.Field(i)))
		}
	case types.FixedList:
		for i := range int(t.Length) {
			parts = append(parts, text(v.Field(i)))
		}
	case types.Variant, types.Enum, types.Option, types.Result:
		n := v.Case()
		if t.Case(n) == nil {
			return t.Label(n)
		}
		return t.Label(n) + "(" + text(v.Payload(n)) + ")"
	default:
		v.Handle() // takes it out of the guest's table, as a caller does
		return "handle"
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func number2(signed bool, s int64, u uint64) string {
	if signed {
		return strconv.FormatInt(s, 10)
	}
	return strconv.FormatUint(u, 10)
}

// wanted writes a value that a test expects, as text does.
func wanted(t *types.Type, v value) string {
	var parts []string
	switch t.Kind {
	case types.Bool:
		return string(v.Value)
	case types.Char, types.String:
		return strconv.Quote(decode[string](v.Value))
	case types.Flags:
		parts = decode[[]string](v.Value)
	case types.List, types.Map, types.FixedList:
		for _, e := range decode[[]value](v.Value) {
			parts = append(parts, wanted(t.Elems[0], e))
		}
	case types.Tuple:
		for i, e := range decode[[]value](v.Value) {
			parts = append(parts, wanted(t.Elems[i], e))
		}
	case types.Record:
		for i, f := range decode[[][2]json.RawMessage](v.Value) {
			parts = append(parts, wanted(t.Elems[i], decode[value](f[1])))
		}
	case types.Enum:
		return decode[string](v.Value)
	case types.Variant:
		c := decode[struct {
			Case    string
			Payload *value
		}](v.Value)
		return wantedCase(t, slices.Index(t.Labels, c.Case), c.Payload)
	case types.Option:
		if some := decode[*value](v.Value); some != nil {
			return wantedCase(t, 1, some)
		}
		return wantedCase(t, 0, nil)
	case types.Result:
		of := decode[map[string]*value](v.Value)
		if ok, is := of["Ok"]; is {
			return wantedCase(t, 0, ok)
		}
		return wantedCase(t, 1, of["Err"])
	default:
		return decode[string](v.Value)
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func wantedCase(t *types.Type, n int, payload *value) string {
	if payload == nil {
		return t.Label(n)
	}
	return t.Label(n) + "(" + wanted(t.Elems[n], *payload) + ")"
}
