package manifest

import (
	"bytes"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// PreambleSize is the length of the bytes with which every WebAssembly binary starts.
const PreambleSize = 8

// The preambles of WebAssembly binaries: the magic number, then a version and a layer of 16 bits
// each.
var (
	ModulePreamble    = []byte("\x00asm\x01\x00\x00\x00") // core specification, 5.5.16
	ComponentPreamble = []byte("\x00asm\x0d\x00\x01\x00") // component model, Binary.md
)

// IsComponent reports whether the first bytes are those of a component and not of a module. Its
// error is of the class ErrNotWasm.
func IsComponent(start []byte) (bool, error) {
	start = start[:min(len(start), PreambleSize)]
	switch {
	case bytes.Equal(start, ModulePreamble):
		return false, nil
	case bytes.Equal(start, ComponentPreamble):
		return true, nil
	case bytes.HasPrefix(start, ModulePreamble[:4]):
		return false, fault.New(fault.ErrNotWasm, nil, "the file is a WebAssembly binary of an unknown version (it starts with %x)", start)
	}
	return false, fault.New(fault.ErrNotWasm, nil, "the file is no WebAssembly binary: it starts with %s", describe(start))
}

// describe names the format of what was published instead of a module.
func describe(start []byte) string {
	for _, known := range []struct{ prefix, name string }{
		{"\x7fELF", "an ELF header (a native Linux program)"},
		{"\x1f\x8b", "a gzip header (a compressed file)"},
		{"PK\x03\x04", "a ZIP header"},
		{"(module", "the text format; assemble it first, as with wat2wasm"},
		{"(compon", "the text format; assemble it first, as with wasm-tools"},
	} {
		if bytes.HasPrefix(start, []byte(known.prefix)) {
			return known.name
		}
	}
	return fmt.Sprintf("%x", start)
}
