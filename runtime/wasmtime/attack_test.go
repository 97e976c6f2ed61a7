package wasmtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
)

// TestPartsAreNoComponents: a file of the cache that has the name of a component's core module, and
// says that it is that component, is compiled again. To load it would wait for itself.
func TestPartsAreNoComponents(t *testing.T) {
	dir := t.TempDir()
	wasm, err := os.ReadFile(wat(t, hello))
	if err != nil {
		t.Fatal(err)
	}
	p, err := command.Load(wasm)
	if err != nil {
		t.Fatal(err)
	}
	part := wantedPart(p.Plan().Modules[0])
	path := CompiledPath(dir, part.digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(codecache.Write(file, cacheKey(), part.digest, wasm, append(componentMark, "[]"...)), file.Close()); err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{CacheDir: dir, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := e.modules.get(ctx, part, maxMemory)
	if err != nil {
		t.Fatal(err)
	}
	e.modules.release(m)
}
