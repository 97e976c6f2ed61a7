package translate

import (
	"errors"
	"strings"
	"testing"
)

// These make the parts of the binary format: u a number, b joined bytes, vec a list with its
// length, name a string with its length.
func u(n int) []byte { return appendU32(nil, uint32(n)) }

func b(parts ...any) (out []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case rune:
			out = append(out, byte(p))
		case []byte:
			out = append(out, p...)
		case string:
			out = append(append(out, u(len(p))...), p...)
		}
	}
	return out
}

func vec(items ...[]byte) []byte {
	out := u(len(items))
	for _, i := range items {
		out = append(out, i...)
	}
	return out
}

func repeat(n int, item ...byte) (out []byte) {
	for range n {
		out = append(out, item...)
	}
	return out
}

func sec(id int, content []byte) []byte { return b(id, u(len(content)), content) }

// wasm makes a module from sections.
func wasm(sections ...[]byte) []byte {
	out := append([]byte(nil), header...)
	for _, s := range sections {
		out = append(out, s...)
	}
	return out
}

// funcs is a module with a memory and functions of type ()->() with these bodies, which include
// locals.
func funcs(bodies ...[]byte) []byte {
	var types, code [][]byte
	for _, body := range bodies {
		types = append(types, u(0))
		code = append(code, b(u(len(body)), body))
	}
	return wasm(sec(sectionType, vec(b(0x60, 0, 0))), sec(sectionFunction, vec(types...)), sec(sectionMemory, vec(b(0, 1))),
		sec(sectionCode, vec(code...)))
}

// body makes a body from instructions, without locals.
func body(instructions ...any) []byte { return b(0, b(instructions...), opEnd) }

func accepted(t *testing.T, wasm []byte, l Limits) *Translation {
	t.Helper()
	out, err := Module(wasm, Finished, l)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// limited checks that a module is refused because it has this number of something.
func limited(t *testing.T, wasm []byte, l Limits, what string, count, bound uint64) {
	t.Helper()
	_, err := Module(wasm, Finished, l)
	var limit *LimitError
	if !errors.As(err, &limit) || !strings.HasPrefix(limit.What, what) || limit.Bound != bound || limit.Count != count && count != 0 {
		t.Errorf("%d %s, at most %d: %v", count, what, bound, err)
	}
}
