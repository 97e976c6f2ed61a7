package componentengine

import (
	"errors"
	"regexp"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// The assembler of wasmtime-go has no word for functions that are async. asyncWord finds the word
// in the type of a function.
var asyncWord = regexp.MustCompile(`(\(func(?: \$[^\s()]+)?(?: \((?:export|import) "[^"]*"\))*) async([\s)])`)

const (
	asyncLabel = "a-s-y-n-c" // of a parameter that stands for the word
	syncFunc   = 0x40        // the binary format's byte for the type of a function
	asyncFunc  = 0x43        // the same of one that is async
)

// Assemble makes a component of text.
func Assemble(text string) (*binary.Component, error) {
	b, err := Binary(text)
	if err != nil {
		return nil, err
	}
	return binary.Decode(b)
}

// Binary assembles text. It assembles the text twice: without the word async, and with a parameter
// in its place. The second says which types of the first become async.
func Binary(text string) ([]byte, error) {
	b, err := wasmtime.Wat2Wasm(asyncWord.ReplaceAllString(text, "$1$2"))
	if err != nil || !asyncWord.MatchString(text) {
		return b, err
	}
	marked, err := wasmtime.Wat2Wasm(asyncWord.ReplaceAllString(text, `$1 (param "`+asyncLabel+`" bool)$2`))
	if err != nil {
		return nil, err
	}
	plain, err := binary.Decode(b)
	if err != nil {
		return nil, err
	}
	with, err := binary.Decode(marked)
	if err != nil {
		return nil, err
	}
	types, marks := funcTypes(plain), funcTypes(with)
	if len(types) != len(marks) {
		return nil, errors.New("assembling a component: an async function shares its type with another one: give it a type of its own")
	}
	for i, m := range marks {
		if p := m.Type.(*binary.Func).Params; len(p) > 0 && p[0].Label == asyncLabel {
			if b[types[i].At] != syncFunc {
				return nil, errors.New("assembling a component: the type of an async function is not where it should be")
			}
			b[types[i].At] = asyncFunc
		}
	}
	return b, nil
}

// funcTypes returns the types of functions that a component defines and declares, in the order of
// the text.
func funcTypes(c *binary.Component) (all []*binary.TypeDef) {
	for _, d := range c.Definitions {
		switch d := d.(type) {
		case *binary.Component:
			all = append(all, funcTypes(d)...)
		case *binary.TypeDef:
			all = append(all, funcTypesIn(d)...)
		}
	}
	return all
}

func funcTypesIn(d *binary.TypeDef) (all []*binary.TypeDef) {
	var declarations []binary.Declaration
	switch t := d.Type.(type) {
	case *binary.Func:
		return []*binary.TypeDef{d}
	case *binary.ComponentType:
		declarations = t.Decls
	case *binary.InstanceType:
		declarations = t.Decls
	}
	for _, d := range declarations {
		if d, ok := d.(*binary.TypeDef); ok {
			all = append(all, funcTypesIn(d)...)
		}
	}
	return all
}
