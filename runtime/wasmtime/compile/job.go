package compile

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/message"
)

// Engine compiles modules.
type Engine struct {
	// Key is the codecache's key for the output of Compile.
	Key string
	// Compile compiles a module to code for the engine, and to the host's other data about the
	// module. Except for lack of memory, an error is the same at every attempt for this module.
	Compile func(wasm []byte, f Form) (code, info []byte, err error)
}

// Form is what a module is compiled for.
type Form string

// Forms of modules.
const (
	AsCommand   Form = "command"   // it is kept by its digest
	AsPart      Form = "part"      // of a component; it is kept by its codecache.PartDigestOf
	AsComponent Form = "component" // it is checked, not compiled, and kept by its digest
)

// digestOf returns the digest by which a module is kept.
func (f Form) digestOf(wasm []byte) string {
	if f == AsPart {
		return codecache.PartDigestOf(wasm)
	}
	return codecache.DigestOf(wasm)
}

// job is one compilation, in this process or another.
type job struct {
	digest string
	form   Form
	size   int64 // of the module, in bytes
	code   int64 // bytes that the file of compiled code may have
}

var (
	// errInput means that the input is not the requested module.
	errInput = errors.New("the file is not the module that is asked for")
	// errNoMemory means that the system or a limit allows no more memory.
	errNoMemory = errors.New("there is not enough memory")
)

// run compiles the module on in, and writes a file of compiled code to out.
func (j job) run(e Engine, in io.Reader, out io.Writer) error {
	wasm, err := j.read(in)
	if err != nil {
		return err
	}
	code, info, err := e.Compile(wasm, j.form)
	switch {
	case err != nil && strings.Contains(err.Error(), "(os error "): // from Rust's std::io::Error
		return fmt.Errorf("%w: %s", errNoMemory, message.Truncate(err.Error()))
	case err != nil: // the engine writes each cause on its own line
		return &RefusedError{message.OneLine(err.Error())}
	}
	if size := codecache.FileSize(code, info); size > j.code || len(info) > codecache.MaxInfo {
		return &RefusedError{fmt.Sprintf("a module of %d bytes has %d bytes of compiled code and %d bytes about it; the most are %d and %d",
			j.size, len(code), len(info), j.code, codecache.MaxInfo)}
	}
	if err := codecache.Write(out, e.Key, j.digest, code, info); err != nil {
		return fmt.Errorf("writing the code: %w", err)
	}
	return nil
}

// read reads the module, and checks its digest, because the compiled code is stored under this
// digest. It checks a copy in memory, because the owner of a file may change it at any time.
func (j job) read(in io.Reader) ([]byte, error) {
	wasm := make([]byte, j.size)
	_, err := io.ReadFull(in, wasm)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: it has become smaller than %d bytes", errInput, j.size)
	case err != nil:
		return nil, fmt.Errorf("reading the module: %w", err)
	}
	if is := j.form.digestOf(wasm); j.digest != is {
		return nil, fmt.Errorf("%w: its digest is %s, not %s", errInput, is, j.digest)
	}
	return wasm, nil
}
