package componentengine

import (
	"strings"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// The assembler of wasmtime-go has no word for functions that are async. A parameter of this name
// stands for it.
const (
	asyncWord  = "ASYNC"
	asyncLabel = "a-s-y-n-c"
)

// Assemble makes a component of text. The word ASYNC in the type of a function, before its
// parameters, says that it is async.
func Assemble(text string) (*binary.Component, error) {
	b, err := Binary(strings.ReplaceAll(text, asyncWord, `(param "`+asyncLabel+`" bool)`))
	if err != nil {
		return nil, err
	}
	c, err := binary.Decode(b)
	if err != nil {
		return nil, err
	}
	markComponent(c)
	return c, nil
}

func markComponent(c *binary.Component) {
	for _, d := range c.Definitions {
		switch d := d.(type) {
		case *binary.Component:
			markComponent(d)
		case *binary.TypeDef:
			markType(d)
		}
	}
}

func markType(d *binary.TypeDef) {
	var declarations []binary.Declaration
	switch t := d.Type.(type) {
	case *binary.Func:
		if len(t.Params) > 0 && t.Params[0].Label == asyncLabel {
			t.Params, t.Async = t.Params[1:], true
		}
	case *binary.ComponentType:
		declarations = t.Decls
	case *binary.InstanceType:
		declarations = t.Decls
	}
	for _, d := range declarations {
		if d, ok := d.(*binary.TypeDef); ok {
			markType(d)
		}
	}
}

// Binary assembles text, which has no functions that are async.
func Binary(text string) ([]byte, error) { return wasmtime.Wat2Wasm(text) }
