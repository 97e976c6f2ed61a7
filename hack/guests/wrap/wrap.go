// Package wrap makes components out of commands of WASI preview 1, for tests: what runs as a module
// runs as a component of WASI 0.2, too. The component has the module, and the adapter of
// adapter.wat that offers the functions of preview 1 to it. No product code uses the package.
//
// The adapter has what Go and wasi-libc call. These parts of preview 1 differ from what a module
// finds:
//
//   - there are no sockets, no clocks of the processor, and no proc_raise and fd_allocate;
//   - standard streams are never terminals;
//   - a descriptor says which rights it has given up, and still has them;
//   - a path that is not UTF-8 traps.
//
// The adapter that comes with jco and wasm-tools grows the program's memory for its own use. Go's
// runtime (1.26) takes it that nothing else does, writes over it, and the adapter traps. So Go
// programs need this one.
package wrap

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/leb128"
)

// Adapter is the text of the adapter. Assembled, it is a component whose first section is a core
// module that does nothing, in whose place the program comes.
//
//go:embed adapter.wat
var Adapter string

const (
	preamble     = 8
	coreModule   = 1 // section of a component: one core module
	importing    = 2 // section of a core module: its imports
	functionKind = 0
	// world is the name of the module that has preview 1. The second and third import of a function
	// come from one of the same length with another last digit: a component may import each name
	// only once, and Go imports some functions twice.
	world     = "wasi_snapshot_preview1"
	mostTwins = 3
)

// Command makes a component of WASI 0.2 out of the assembled Adapter and a command of preview 1: a
// core module that exports memory and _start.
func Command(adapter, module []byte) ([]byte, error) {
	if len(module) < preamble || !bytes.HasPrefix(module, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errors.New("wrapping a program: it is not a core module")
	}
	module = bytes.Clone(module)
	if err := nameTwins(module); err != nil {
		return nil, fmt.Errorf("wrapping a program: %w", err)
	}
	if len(adapter) < preamble {
		return nil, errors.New("wrapping a program: the adapter is no component")
	}
	first, rest, err := section(adapter[preamble:])
	if err != nil || first.id != coreModule {
		return nil, fmt.Errorf("wrapping a program: the adapter does not begin with a core module: %w", err)
	}
	out := bytes.Clone(adapter[:preamble])
	out = append(out, coreModule)
	out = binary.AppendUvarint(out, uint64(len(module)))
	out = append(out, module...)
	return append(out, rest...), nil
}

// part is one section.
type part struct {
	id      byte
	content []byte
}

var errShort = errors.New("it ends too early")

// section takes the first section of b.
func section(b []byte) (part, []byte, error) {
	if len(b) == 0 {
		return part{}, nil, errShort
	}
	id := b[0]
	content, rest, err := sized(b[1:])
	return part{id: id, content: content}, rest, err
}

// sized takes bytes that come after their number.
func sized(b []byte) (content, rest []byte, err error) {
	size, n := leb128.Unsigned(b, 32)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, errShort
	}
	return b[n : n+int(size)], b[n+int(size):], nil
}

// nameTwins gives the second and third import of a function another module's name, in place.
func nameTwins(module []byte) error {
	for b := module[preamble:]; len(b) > 0; {
		s, rest, err := section(b)
		if err != nil {
			return err
		}
		if s.id == importing {
			return nameImports(s.content)
		}
		b = rest
	}
	return nil
}

func nameImports(b []byte) error {
	count, n := leb128.Unsigned(b, 32)
	if n <= 0 {
		return errShort
	}
	b = b[n:]
	seen := map[string]int{}
	for range count {
		from, rest, err := sized(b)
		if err != nil {
			return err
		}
		name, rest, err := sized(rest)
		if err != nil {
			return err
		}
		if len(rest) == 0 {
			return errShort
		}
		if string(from) != world || rest[0] != functionKind {
			return fmt.Errorf("it imports %q of %q, which is not a function of %s", name, from, world)
		}
		_, n := leb128.Unsigned(rest[1:], 32)
		if n <= 0 {
			return errShort
		}
		if seen[string(name)] == mostTwins {
			return fmt.Errorf("it imports %q more than %d times", name, mostTwins)
		}
		from[len(from)-1] += byte(seen[string(name)])
		seen[string(name)]++
		b = rest[1+n:]
	}
	return nil
}
