package wasmtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
)

// wanted is a module that is wanted: a command, which is a file, or a part of a component, in
// memory.
type wanted struct {
	digest string // under which its code is kept
	form   compile.Form
	file   string // of a command
	part   []byte // of a component, otherwise
}

func wantedCommand(digest, file string) wanted {
	return wanted{digest: digest, form: compile.AsCommand, file: file}
}

func wantedPart(wasm []byte) wanted {
	return wanted{digest: codecache.PartDigestOf(wasm), form: compile.AsPart, part: wasm}
}

// open opens the module for reading. It does not wait for the other end of a named pipe.
func (w wanted) open() (io.ReadCloser, error) {
	if w.form == compile.AsPart {
		return io.NopCloser(bytes.NewReader(w.part)), nil
	}
	f, err := os.OpenFile(w.file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the module: %w", err)
	}
	return f, nil
}

// look returns the size of the module, or an error if it is no core module, or larger than most.
func (w wanted) look(most int64) (size int64, err error) {
	in, err := w.open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Close() }()
	size = int64(len(w.part))
	if f, ok := in.(*os.File); ok {
		info, err := f.Stat()
		switch {
		case err != nil:
			return 0, fmt.Errorf("reading the module: %w", err)
		case !info.Mode().IsRegular():
			return 0, fmt.Errorf("read the module: %s is no regular file", w.file)
		}
		size = info.Size()
	}
	if size > most {
		return 0, fmt.Errorf("%w: it has %d bytes, and may have %d (--max-module-size)", ErrModuleTooLarge, size, most)
	}
	var start [headerSize]byte
	n, err := io.ReadFull(in, start[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, fmt.Errorf("reading the module: %w", err)
	}
	return size, checkHeader(start[:n])
}
