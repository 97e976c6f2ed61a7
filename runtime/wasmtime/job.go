package wasmtime

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// job is one compilation, in whatever process.
type job struct {
	digest string
	size   int64 // of the module, in bytes
	code   int64 // bytes that the file of compiled code may have
}

var (
	// errInput says that what was read is not the module that was meant.
	errInput = errors.New("the file is not the module that is asked for")
	// errNoMemory says that the system, or a limit, gave no more memory.
	errNoMemory = errors.New("there is not enough memory")
)

// refusedError says that a module will not be compiled for what it is, whenever it is tried: it is invalid, or asks for what the
// engine does not have, or is beyond a bound of its content. It holds for a module by its digest.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// run compiles what in has, and writes a file of compiled code to out.
func (j job) run(in io.Reader, out io.Writer) error {
	wasm, err := j.read(in)
	if err != nil {
		return err
	}
	code, info, err := compile(wasm)
	switch {
	case err != nil && strings.Contains(err.Error(), "(os error "): // of Rust's std::io::Error
		return fmt.Errorf("%w: %s", errNoMemory, truncate(err.Error()))
	case err != nil:
		return &refusedError{oneLine(err.Error())}
	}
	if size := fileSize(code, info); size > j.code || len(info) > maxInfo {
		return &refusedError{fmt.Sprintf("a module of %d bytes has %d bytes of compiled code and %d bytes about it; the most are %d and %d",
			j.size, len(code), len(info), j.code, maxInfo)}
	}
	if err := writeCode(out, j.digest, code, info); err != nil {
		return fmt.Errorf("write the code: %w", err)
	}
	return nil
}

// oneLine is a message of the engine's, which sets its causes below each other.
func oneLine(text string) string { return truncate(strings.Join(strings.Fields(text), " ")) }

// read reads the module. What is compiled is kept under its digest for good, so it must be what it is said to be; it is copied
// first, as who owns a file may change it meanwhile.
func (j job) read(in io.Reader) ([]byte, error) {
	wasm := make([]byte, j.size)
	_, err := io.ReadFull(in, wasm)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: it has become smaller than %d bytes", errInput, j.size)
	case err != nil:
		return nil, fmt.Errorf("read the module: %w", err)
	}
	if sum := sha256.Sum256(wasm); j.digest != digestPrefix+hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("%w: its digest is %s%x, not %s", errInput, digestPrefix, sum, j.digest)
	}
	return wasm, nil
}

// compile compiles a module to code that the engine loads, and to what the host knows of it besides. What the engine compiles is
// the translated module; the original must be valid too, since by the numbers of what the translation adds to it a module
// could reach that.
func compile(wasm []byte) (code, info []byte, err error) {
	t, err := translate.Module(wasm, features(), translate.Limits{})
	if err != nil {
		return nil, nil, explain(err)
	}
	native := wasmtimego.NewEngineWithConfig(settings())
	defer native.Close()
	if err := wasmtimego.ModuleValidate(native, wasm); err != nil {
		return nil, nil, err
	}
	if code, err = machineCode(native, t.Wasm); err != nil {
		return nil, nil, err
	}
	return code, t.Info.Append(nil), nil
}

func machineCode(native *wasmtimego.Engine, wasm []byte) ([]byte, error) {
	m, err := wasmtimego.NewModule(native, wasm)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Serialize()
}
