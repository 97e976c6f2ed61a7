package wasmtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
)

// wanted is what a file or a part of it has to be made into: a command, a component, or a core
// module of a component, which may also be in memory.
type wanted struct {
	digest string // under which the result is kept
	form   compile.Form
	file   string
	at     int64  // in the file, of a core module of a component
	size   int64  // likewise
	part   []byte // of a component, if it is in memory
	pooled bool   // its memories come from the engine's pool
}

// key is the name of what is wanted in this process.
func (w wanted) key() string { return unitKey(w.digest, w.pooled) }

func unitKey(digest string, pooled bool) string {
	if pooled {
		return "pooled " + digest
	}
	return digest
}

func wantedCommand(digest, file string) wanted {
	return wanted{digest: digest, form: compile.AsCommand, file: file}
}

func wantedPart(wasm []byte) wanted {
	return wanted{digest: codecache.PartDigestOf(wasm), form: compile.AsPart, part: wasm, size: int64(len(wasm))}
}

// wantedFile looks whether a file is a component. Of one that cannot be read, the error comes
// later, if its code is not there.
func wantedFile(digest, file string) wanted {
	w := wantedCommand(digest, file)
	in, err := w.open()
	if err != nil {
		return w
	}
	defer func() { _ = in.Close() }()
	var head [binary.HeadSize]byte
	if _, err := io.ReadFull(in, head[:]); err == nil && binary.IsComponent(head[:]) {
		w.form = compile.AsComponent
	}
	return w
}

// open opens the module for reading. It does not wait for the other end of a named pipe.
func (w wanted) open() (io.ReadCloser, error) {
	if w.part != nil {
		return io.NopCloser(bytes.NewReader(w.part)), nil
	}
	f, err := os.OpenFile(w.file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the module: %w", err)
	}
	if _, err := f.Seek(w.at, io.SeekStart); err != nil && w.at > 0 {
		return nil, errors.Join(fmt.Errorf("reading the module: %w", err), f.Close())
	}
	return f, nil
}

// look returns the size of what is wanted, or an error if it is not what it should be, or larger
// than most.
func (w wanted) look(most int64) (size int64, err error) {
	in, err := w.open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Close() }()
	size = w.size
	if f, ok := in.(*os.File); ok && w.form != compile.AsPart {
		info, err := f.Stat()
		switch {
		case err != nil:
			return 0, fmt.Errorf("reading the module: %w", err)
		case !info.Mode().IsRegular():
			return 0, fmt.Errorf("reading the module: %s is no regular file", w.file)
		}
		size = info.Size()
	}
	if size > most {
		return 0, fmt.Errorf("%w: it has %d bytes, and may have %d (--max-module-size)", ErrModuleTooLarge, size, most)
	}
	var head [binary.HeadSize]byte
	n, err := io.ReadFull(in, head[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, fmt.Errorf("reading the module: %w", err)
	}
	if binary.IsComponent(head[:n]) == (w.form == compile.AsComponent) && (w.form == compile.AsComponent || isModule(head[:n])) {
		return size, nil
	}
	return 0, errNotWasm
}

// isModule reports whether the head of a file is that of a core module.
func isModule(head []byte) bool { return string(head) == binary.HeadModule }
