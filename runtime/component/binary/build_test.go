package binary

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

// bytesOf joins numbers below 256, strings and slices of bytes.
func bytesOf(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		default:
			panic("a part of another type")
		}
	}
	return b
}

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// name is a string with its length before it.
func name(s string) []byte { return bytesOf(leb(len(s)), s) }

// section is a section, of a component or module, that has these parts.
func section(id int, parts ...any) []byte {
	body := bytesOf(parts...)
	return bytesOf(id, leb(len(body)), body)
}

// component and module have these sections.
func component(sections ...any) []byte { return bytesOf(headComponent, bytesOf(sections...)) }
func module(sections ...any) []byte    { return bytesOf(headModule, bytesOf(sections...)) }

// assemble turns the text of a component or module into its binary.
func assemble(t testing.TB, text string) []byte {
	t.Helper()
	b, err := wasmtime.Wat2Wasm(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decode decodes what must be a component.
func decode(t testing.TB, b []byte) *Component {
	t.Helper()
	c, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// find returns the definitions of one type.
func find[D Definition](c *Component) (found []D) {
	for _, d := range c.Definitions {
		if d, ok := d.(D); ok {
			found = append(found, d)
		}
	}
	return found
}

// placeless sets all offsets within a component to 0, and forgets which file its modules are of.
func placeless(v *Component) *Component {
	clearAt(reflect.ValueOf(v))
	for _, m := range find[*CoreModule](v) {
		m.file = nil
	}
	return v
}

func clearAt(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			clearAt(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			clearAt(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Type().Field(i); {
			case f.Name == "At":
				v.Field(i).SetInt(0)
			case f.IsExported():
				clearAt(v.Field(i))
			}
		}
	}
}

// of is a pointer to v.
func of[V any](v V) *V { return &v }

// repeated is b, n times.
func repeated(b []byte, n int) []byte { return bytes.Repeat(b, n) }
