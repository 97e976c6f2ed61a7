package wasmtime

import (
	"io"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// CompileCommand is the first argument of a program that was given as Config.Compiler. With it, the
// program calls CompileMain.
const CompileCommand = compile.Command

// CompileMain compiles the module on in, writes a file of compiled code to out, and returns an exit
// code. It is the main function of a process that a Compiler has started, with two open files and a
// pipe for errors. It sets the limits of the process from its arguments before it reads anything.
func CompileMain(args []string, in io.Reader, out, errs io.Writer) int {
	return compile.Main(moduleCompiler(), args, in, out, errs)
}

// CompiledPath returns the path of the compiled code of a module, for a Compiler or Engine of this
// build with this CacheDir in its Config.
func CompiledPath(cacheDir, digest string) string {
	return codecache.New(codecache.Config{Dir: cacheDir, Key: cacheKey()}).Path(digest)
}

// RemoveCompiled removes the compiled code of a module, for all engines, and returns how many bytes
// that freed. cacheDir is the CacheDir of a Config. The module is compiled again when it is needed.
func RemoveCompiled(cacheDir, digest string) (freed int64, err error) {
	return codecache.RemoveModule(cacheDir, digest)
}

func moduleCompiler() compile.Engine {
	return compile.Engine{Key: cacheKey(), Compile: compileModule}
}

// compileModule compiles a module to code for the engine, and to the host's other data about the
// module. The engine compiles the translated module. But the original must also be valid. Otherwise
// a module could use the index numbers of the parts that the translation adds, and so reach these
// parts.
func compileModule(wasm []byte, f compile.Form) (code, info []byte, err error) {
	var t *translate.Translation
	switch f {
	case compile.AsComponent:
		return checkComponent(wasm)
	case compile.AsPart:
		t, err = translate.Part(wasm, features(), translate.Limits{}, codecache.PartDigestOf(wasm))
	case compile.AsCommand:
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
