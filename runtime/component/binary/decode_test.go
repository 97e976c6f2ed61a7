package binary

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestIsComponent(t *testing.T) {
	for _, c := range []struct {
		name string
		head []byte
		want bool
	}{
		{"a component", component(), true},
		{"with what follows", component(section(7, 0)), true},
		{"of another version", []byte("\x00asm\x0e\x00\x01\x00"), true},
		{"a module", module(), false},
		{"another layer", []byte("\x00asm\x0d\x00\x02\x00"), false},
		{"cut", component()[:7], false},
		{"nothing", nil, false},
		{"text", []byte("(component)"), false},
	} {
		if got := IsComponent(c.head); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// refused is a binary, and why it is refused.
type refused struct {
	name string
	b    []byte
	at   int
	what string // part of the reason
}

func (c refused) check(t *testing.T, kind, err error) {
	t.Helper()
	var e *Error
	switch {
	case !errors.As(err, &e):
		t.Errorf("%s: the error is %v", c.name, err)
	case !errors.Is(err, kind):
		t.Errorf("%s: it is not %v: %v", c.name, kind, err)
	case e.At != c.at || !strings.Contains(err.Error(), fmt.Sprintf("at 0x%x: ", c.at)):
		t.Errorf("%s: refused at 0x%x, want 0x%x: %v", c.name, e.At, c.at, err)
	case !strings.Contains(err.Error(), c.what):
		t.Errorf("%s: the reason is %q, want %q", c.name, err, c.what)
	}
}

func TestMalformed(t *testing.T) {
	const body = 8 + 2 // offset of the first section's content, if its size takes one byte
	flawed := func(id int, parts ...any) []byte { return component(section(id, parts...)) }
	for _, c := range []refused{
		{"nothing", nil, 0, "0 bytes are no WebAssembly"},
		{"a cut head", component()[:7], 0, "7 bytes are no WebAssembly"},
		{"no WebAssembly", []byte("#!/bin/sh\n"), 0, "no WebAssembly"},
		{"a module", module(), 6, "no component: its layer is 0"},
		{"another layer", []byte("\x00asm\x0d\x00\x00\x01"), 6, "its layer is 256"},
		{"another version", []byte("\x00asm\x0e\x00\x01\x00"), 4, "version 14, and only version 13"},

		{"a section that is not known", component(section(13)), 8, "no section 0xd"},
		{"a section without a size", component(7), 9, "ends within a number"},
		{"a size that is cut", component(7, 0x80), 10, "ends within a number"},
		{"a size of six bytes", component(7, 0x80, 0x80, 0x80, 0x80, 0x80, 0), 9, "longer than 32 bits"},
		{"a size of ten bytes", component(7, repeated([]byte{0xff}, 9), 1), 9, "longer than 32 bits"},
		{"a size of 33 bits", component(7, 0x80, 0x80, 0x80, 0x80, 0x10), 9, "longer than 32 bits"},
		{"a size behind the end", component(7, 3, 1, 0x73), body, "3 bytes must follow, and there are 2"},
		{"the largest size", component(7, 0xff, 0xff, 0xff, 0xff, 0x0f), 14, "4294967295 bytes must follow, and there are 0"},
		{"bytes left", flawed(7, 1, 0x73, 0), body + 2, "1 bytes are left"},
		{"a section that ends within a definition", component(section(7, 1, 0x70), 0x73), body + 2, "ends too early"},
		{"more definitions than bytes", flawed(7, 2, 0x73), body, "2 definitions cannot be in 1 bytes"},
		{"a definition too many", flawed(6, 2, 3, 2, 0, 0), body + 5, "ends too early"},

		{"a custom name behind the end", flawed(0, 5, "ab"), body + 1, "5 bytes must follow"},
		{"a custom name that is not UTF-8", flawed(0, 2, 0xff, 0xfe), body, "not UTF-8"},
		{"a core module of another layer", flawed(1, headComponent), body + 6, "no core module: its layer is 1"},
		{"a core module of another version", flawed(1, "\x00asm\x02\x00\x00\x00"), body + 4, "core module of version 2"},
		{"a core module without a head", flawed(1), body, "no WebAssembly"},
		{"a nested component that is a module", flawed(4, headModule), body + 6, "no component"},
		{"a flaw in a nested component", flawed(4, headComponent, section(7, 1, 0x62)), body + 8 + 3, "type 0x62"},
		{"a nested section longer than its component", component(section(4, headComponent, 7, 3, 1), section(7, 1, 0x73)), body + 10, "3 bytes must follow, and there are 1"},

		{"how a core instance is made", flawed(2, 1, 2, 0), body + 1, "how an instance is made is 0x2"},
		{"an argument's sort", flawed(2, 1, 0, 0, 1, name("i"), 0, 0), body + 6, "sort 0x0"},
		{"the sort of a core item", flawed(2, 1, 1, 1, name("f"), 5, 0), body + 5, "no sort 0x5 of core items"},
		{"how an instance is made", flawed(5, 1, 2, 0), body + 1, "how an instance is made is 0x2"},
		{"the sort of an item", flawed(5, 1, 0, 0, 1, name("f"), 6, 0), body + 6, "no sort 0x6 of items"},

		{"an alias of no kind", flawed(6, 1, 3, 3, 0, 0), body + 2, "alias of kind 0x3"},
		{"an alias of no sort", flawed(6, 1, 6, 2, 0, 0), body + 1, "no sort 0x6"},
		{"an alias of no core sort", flawed(6, 1, 0, 0x13, 2, 0, 0), body + 2, "no sort 0x13"},
		{"an outer instance", flawed(6, 1, 5, 2, 0, 0), body + 1, "enclosing"},
		{"an outer function", flawed(6, 1, 1, 2, 0, 0), body + 1, "enclosing"},
		{"an outer core function", flawed(6, 1, 0, 0, 2, 0, 0), body + 1, "enclosing"},
		{"an instance's core function", flawed(6, 1, 0, 0, 0, 0, name("f")), body + 1, "no exports of this sort"},
		{"a core instance's function", flawed(6, 1, 1, 1, 0, name("f")), body + 1, "no exports of this sort"},
		{"a core instance's core instance", flawed(6, 1, 0, 0x12, 1, 0, name("f")), body + 1, "no exports of this sort"},

		{"a type that is not known", flawed(7, 1, 0x62), body + 1, "type 0x62"},
		{"the resource type of older binaries", flawed(7, 1, 0x3e, 0x7f, 0, 0), body + 1, "type 0x3e"},
		{"a type's number of two bytes that is a type's byte", flawed(7, 1, 0x70, 0xf3, 0x7f), body + 2, "type of values 0xf3"},
		{"a type of values that is not known", flawed(7, 1, 0x70, 0x72), body + 2, "type of values 0x72"},
		{"a type's number of six bytes", flawed(7, 1, 0x70, 0x80, 0x80, 0x80, 0x80, 0x80, 0), body + 2, "longer than 33 bits"},
		{"a case's last byte", flawed(7, 1, 0x71, 1, name("c"), 0, 1), body + 6, "last byte of a case is 0x1"},
		{"a type that may be there", flawed(7, 1, 0x66, 2), body + 2, "whether there is a type is 0x2"},
		{"the form of results", flawed(7, 1, 0x40, 0, 2, 0), body + 3, "results is 0x2"},
		{"the number of results", flawed(7, 1, 0x40, 0, 1, 1), body + 4, "number of results is 0x1"},
		{"a destructor that may be there", flawed(7, 1, 0x3f, 0x7f, 2), body + 3, "destructor is 0x2"},
		{"a resource that no core type stands for", flawed(7, 1, 0x3f, 0x40, 0), body + 2, "core type of values 0x40"},
		{"a declaration of no kind", flawed(7, 1, 0x41, 1, 5, 0x73), body + 3, "declaration of kind 0x5"},
		{"an import of an instance type", flawed(7, 1, 0x42, 1, 3, 0, name("a"), 3, 1), body + 3, "declaration of kind 0x3"},
		{"a type's core export", flawed(7, 1, 0x42, 1, 2, 0, 0, 1, 0, name("a")), body + 4, "a type has no exports of core instances"},
		{"a label that is not UTF-8", flawed(7, 1, 0x6d, 1, 1, 0x80), body + 3, "not UTF-8"},

		{"a core type that is not known", flawed(3, 1, 0x61), body + 1, "core type 0x61"},
		{"a core type with the prefix of a subtype", flawed(3, 1, 0, 0x60, 0, 0), body + 2, "core type 0x60"},
		{"a core type of values", flawed(3, 1, 0x60, 1, 0x40, 0), body + 3, "core type of values 0x40"},
		{"what a reference refers to", flawed(3, 1, 0x60, 1, 0x64, 0x40, 0), body + 4, "reference's type 0x40"},
		{"a field that may be mutable", flawed(3, 1, 0x5e, 0x78, 2), body + 3, "mutable is 0x2"},
		{"a module type's declaration", flawed(3, 1, 0x50, 1, 4), body + 3, "declaration of kind 0x4"},
		{"a module type in a module type", flawed(3, 1, 0x50, 1, 1, 0x50, 0), body + 4, "cannot be in a module type"},
		{"a module type's alias", flawed(3, 1, 0x50, 1, 2, 0, 1, 0, 0), body + 4, "outer core types only"},
		{"a module type's import", flawed(3, 1, 0x50, 1, 0, name("a"), name("b"), 5, 0), body + 8, "kind 0x5"},
		{"the flags of a memory", flawed(3, 1, 0x50, 1, 3, name("m"), 2, 0x10, 0), body + 7, "flags of a size 0x10"},
		{"a table with pages", flawed(3, 1, 0x50, 1, 3, name("t"), 1, 0x70, 8, 0, 0), body + 8, "flags of a size 0x8"},
		{"a page's size", flawed(3, 1, 0x50, 1, 3, name("m"), 2, 8, 0, 12), body + 9, "2^12 bytes"},
		{"a tag's form", flawed(3, 1, 0x50, 1, 3, name("t"), 4, 1, 0), body + 7, "form of a tag is 0x1"},

		{"a canonical definition that is not known", flawed(8, 1, 7), body + 1, "canonical definition 0x7"},
		{"the sort of what is lifted", flawed(8, 1, 0, 1, 0, 0, 0), body + 2, "lifted is 0x1"},
		{"the sort of what is lowered", flawed(8, 1, 1, 1, 0, 0), body + 2, "lowered is 0x1"},
		{"an option", flawed(8, 1, 1, 0, 0, 1, 10), body + 5, "option 0xa"},
		{"whether a built-in is async", flawed(8, 1, 6, 2), body + 2, "async is 0x2"},
		{"whether a built-in is cancellable", flawed(8, 1, 0x0c, 2), body + 2, "cancellable is 0x2"},
		{"whether a built-in is shared", flawed(8, 1, 0x42, 2), body + 2, "shared is 0x2"},

		{"the form of a name", flawed(10, 1, 3, name("a"), 1, 0), body + 1, "name of form 0x3"},
		{"an attribute", flawed(10, 1, 2, name("a"), 1, 3, name("x"), 1, 0), body + 5, "attribute 0x3"},
		{"an empty attribute", flawed(10, 1, 2, name("a"), 1, 1, name(""), 1, 0), body + 5, "versionsuffix is empty"},
		{"the bound of a type", flawed(10, 1, 0, name("a"), 3, 2), body + 5, "bound of a type is 0x2"},
		{"the sort of an import", flawed(10, 1, 0, name("a"), 6, 0), body + 4, "no sort 0x6"},
		{"the core sort of an import", flawed(10, 1, 0, name("a"), 0, 0, 0), body + 5, "core sort 0x0"},
		{"an import's name that is cut", flawed(10, 1, 0, 0x7f, "ab"), body + 3, "127 bytes must follow"},
		{"whether an export says its type", flawed(11, 1, 0, name("a"), 1, 0, 2), body + 6, "says its type is 0x2"},
	} {
		_, err := Decode(c.b)
		c.check(t, ErrMalformed, err)
	}
}

func TestUnsupported(t *testing.T) {
	const values = "the component uses values, which are not supported"
	for _, c := range []refused{
		{"a start", component(section(9, 0, 0, 0)), 8, values},
		{"a value", component(section(12, 1, 0x7f, 1, 0)), 8, values},
		{"a value in a nested component", component(section(4, component(section(12, 0)))), 18, values},
		{"an item that is a value", component(section(5, 1, 0, 0, 1, name("v"), 2, 0)), 16, values},
		{"an alias of a value", component(section(6, 1, 2, 0, 0, name("v"))), 11, values},
		{"an import that is a value", component(section(10, 1, 0, name("v"), 2, 0, 0)), 14, values},
		{"an export that is a value", component(section(11, 1, 0, name("v"), 2, 0, 0)), 14, values},
		{"a resource of 64 bits", component(section(7, 1, 0x3f, 0x7e, 0)), 11, "resources that i64 stands for"},
		{"a continuation", component(section(3, 1, 0x5d, 0)), 11, "stack switching"},
		{"a reference to a continuation", component(section(3, 1, 0x60, 1, 0x68, 0)), 13, "stack switching"},
		{"a shared type", component(section(3, 1, 0x65, 0x60, 0, 0)), 11, "shared types"},
	} {
		_, err := Decode(c.b)
		c.check(t, ErrUnsupported, err)
	}
}

// TestSectionsInAnyOrder: a section may follow any other, be there many times, and be empty.
// Numbers may be longer than they must be.
func TestSectionsInAnyOrder(t *testing.T) {
	c := decode(t, component(
		section(7, 1, 0x73), section(11, 0), section(0, name("between")), 7, []byte{0x83, 0x80, 0x80, 0x80, 0x00}, 1, 0x70, 0,
		section(1, headModule), section(7, 0), section(0, name("between"), "again"), section(1, headModule, section(0, name("x"))),
	))
	if len(c.Definitions) != 4 || len(c.Customs) != 2 || string(c.Customs[1].Data) != "again" {
		t.Errorf("%d definitions and the custom sections %v", len(c.Definitions), c.Customs)
	}
}

// TestPlaces: every definition knows where it is in the file.
func TestPlaces(t *testing.T) {
	inner := component(section(7, 2, 0x73, 0x72, 1, name("a"), 0))
	file := component(section(1, module()), section(4, inner))
	c := decode(t, file)
	modules, components := find[*CoreModule](c), find[*Component](c)
	if c.At != 0 || modules[0].At != 10 || string(modules[0].Bytes) != string(headModule) || &modules[0].Bytes[0] != &file[10] {
		t.Errorf("the component is at %d and its module %v", c.At, modules[0])
	}
	if at := components[0].At; at != 20 || string(file[at:]) != string(inner) {
		t.Errorf("the nested component is at %d", at)
	}
	types := find[*TypeDef](components[0])
	if types[0].At != 31 || types[1].At != 32 || file[types[1].At] != typeRecord {
		t.Errorf("types are at %d and %d", types[0].At, types[1].At)
	}
}
