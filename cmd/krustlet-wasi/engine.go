package main

import (
	"os"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// newEngine makes the engine of the agent and of `run`, which keeps compiled code in the folder named.
func newEngine(compiled string, log *zap.Logger) (*wasmtime.Engine, error) {
	return wasmtime.New(wasmtime.Config{
		CacheDir: compiled,
		// Not the path that the program was started by: there may be another version by now.
		Compiler: []string{"/proc/self/exe", wasmtime.CompileCommand},
		Log:      log.Named("engine"),
	})
}

// isCompiler tells whether this process was started by an engine's, to compile one module.
func isCompiler(args []string) bool {
	return len(args) > 1 && args[1] == wasmtime.CompileCommand
}

// compile is the whole of such a process. The result is its exit code.
func compile(args []string) int {
	return wasmtime.CompileMain(args[2:], os.Stdin, os.Stdout, os.Stderr)
}
