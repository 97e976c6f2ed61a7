package validate

import (
	"errors"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// rule is a component, and why it is refused: a part of the error, or "" if it is valid. The
// assembler checks nothing.
type rule struct {
	wat string
	why string
	// edit changes what was decoded, where the assembler has no text for something.
	edit func(*binary.Component)
}

func checkRules(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		c := assemble(t, r.wat)
		if r.edit != nil {
			r.edit(c)
		}
		err := Validate(c)
		if err == nil {
			if wrong := check(c); wrong != nil {
				t.Errorf("%s\n%v", r.wat, wrong)
			}
		}
		switch {
		case err == nil && r.why != "":
			t.Errorf("%s\nis valid, want %q", r.wat, r.why)
		case err != nil && r.why == "":
			t.Errorf("%s\n%v, want it valid", r.wat, err)
		case err != nil && !strings.Contains(err.Error(), r.why):
			t.Errorf("%s\n%v, want %q", r.wat, err, r.why)
		case err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, binary.ErrUnsupported) && !errors.Is(err, binary.ErrMalformed):
			t.Errorf("%s\n%v is of no kind", r.wat, err)
		}
	}
}

func assemble(t testing.TB, wat string) *binary.Component {
	t.Helper()
	data, err := wasmtime.Wat2Wasm(wat)
	if err != nil {
		t.Fatalf("%s\n%v", wat, err)
	}
	c, err := binary.Decode(data)
	if err != nil {
		t.Fatalf("%s\n%v", wat, err)
	}
	return c
}

// async makes each function type of a component async.
func async(c *binary.Component) {
	for _, d := range c.Definitions {
		if d, ok := d.(*binary.TypeDef); ok {
			if f, ok := d.Type.(*binary.Func); ok {
				f.Async = true
			}
		}
	}
}

// mapped makes a map of each tuple of two types.
func mapped(c *binary.Component) {
	for _, d := range c.Definitions {
		if d, ok := d.(*binary.TypeDef); ok {
			if tuple, ok := d.Type.(*binary.Tuple); ok && len(tuple.Types) == 2 {
				d.Type = &binary.Map{Key: tuple.Types[0], Value: tuple.Types[1]}
			}
		}
	}
}

// attribute sets attributes of the names of all imports.
func attribute(n binary.ExternName) func(*binary.Component) {
	return func(c *binary.Component) {
		for _, d := range c.Definitions {
			if d, ok := d.(*binary.Import); ok {
				n.Name = d.Name.Name
				d.Name = n
			}
		}
	}
}

// builtin makes each built-in of a component another one.
func builtin(b binary.Builtin) func(*binary.Component) {
	return func(c *binary.Component) {
		for _, d := range c.Definitions {
			if d, ok := d.(*binary.Builtin); ok {
				*d = b
			}
		}
	}
}

func TestErrorsSayWhereAndOfWhatKind(t *testing.T) {
	c := assemble(t, `(component (type (tuple)))`)
	err := Validate(c)
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrInvalid) {
		t.Fatalf("%v is not an *Error of kind ErrInvalid", err)
	}
	if at := c.Definitions[0].(*binary.TypeDef).At; e.At != at {
		t.Errorf("the error is at %d, want %d", e.At, at)
	}
	if err := Validate(assemble(t, `(component (core func (canon thread.suspend)))`)); !errors.Is(err, binary.ErrUnsupported) {
		t.Errorf("%v is not of kind ErrUnsupported", err)
	}
}

func TestLongNamesAreCutInErrors(t *testing.T) {
	name := strings.Repeat("aé", 5000)
	err := Validate(assemble(t, `(component (import "`+name+`" (func)))`))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
}
