package wasmtime

import (
	"io"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// CompileCommand is the first argument with which a program that was given as Config.Compiler calls
// CompileMain.
const CompileCommand = compile.Command

// CompileMain compiles the module on in to a file of compiled code on out, and returns an exit
// code. It is the main function of a process that a Compiler has started, with two open files and a
// pipe for errors. It bounds the process by its arguments before it reads anything.
func CompileMain(args []string, in io.Reader, out, errs io.Writer) int {
	return compile.Main(moduleCompiler(), args, in, out, errs)
}

// CompiledPath returns where a Compiler or Engine of this build keeps the compiled code of a
// module, in the folder that is its Config's CacheDir.
func CompiledPath(cacheDir, digest string) string {
	return codecache.New(codecache.Config{Dir: cacheDir, Key: cacheKey()}).Path(digest)
}

// RemoveCompiled removes the compiled code of a module, of any engine, from the folder that is a
// Config's CacheDir, and returns how many bytes that freed. The module is compiled again when it is
// needed.
func RemoveCompiled(cacheDir, digest string) (freed int64, err error) {
	return codecache.RemoveModule(cacheDir, digest)
}

func moduleCompiler() compile.Engine {
	return compile.Engine{Key: cacheKey(), Compile: compileModule}
}

// compileModule compiles a module to code that the engine loads, and to what the host knows of the
// module besides. The engine compiles the translated module. But the original must be valid too: a
// module could otherwise reach what the translation adds, by the numbers that these parts get.
func compileModule(wasm []byte, f compile.Form) (code, info []byte, err error) {
	var t *translate.Translation
	if f == compile.AsPart {
		t, err = translate.Part(wasm, features(), translate.Limits{}, codecache.PartDigestOf(wasm))
	} else {
		t, err = translate.Module(wasm, features(), translate.Limits{})
	}
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
