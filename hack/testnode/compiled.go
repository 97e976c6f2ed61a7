package testnode

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

var (
	compileMu sync.Mutex
	compiled  = map[string][]string{} // by guest: its code in the folder that all tests share
)

// Compiled gives the node the machine code of guests of hack/guests, as if it had run them before. To compile one takes
// seconds; when a dozen agents began with that at the same time, each for itself, it took them minutes.
func (n *Node) Compiled(t testing.TB, names ...string) {
	t.Helper()
	shared := guests.CacheDir(t)
	for _, name := range names {
		for _, code := range machineCode(t, shared, name) {
			place := filepath.Join(n.DataDir, "modules", "compiled", strings.TrimPrefix(code, shared))
			if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
				t.Fatalf("testnode: %v", err)
			}
			if err := os.Link(code, place); err != nil { // such files are replaced, never written to
				content, err := os.ReadFile(code)
				if err == nil {
					err = os.WriteFile(place, content, 0o600)
				}
				if err != nil {
					t.Fatalf("testnode: %v", err)
				}
			}
		}
	}
}

// machineCode compiles a guest, once for all tests, and returns the files of its code.
func machineCode(t testing.TB, shared, name string) []string {
	t.Helper()
	compileMu.Lock()
	defer compileMu.Unlock()
	if files := compiled[name]; files != nil {
		return files
	}
	compiler, err := wasmtime.NewCompiler(wasmtime.Config{CacheDir: shared, Log: zap.NewNop()})
	if err != nil {
		t.Fatalf("testnode: %v", err)
	}
	defer compiler.Close()
	path := guests.Build(t, name)
	digest := guests.Digest(t, path)
	if err := compiler.Compile(t.Context(), "", digest, path); err != nil {
		t.Fatalf("testnode: compile %s: %v", name, err)
	}
	files, err := filepath.Glob(filepath.Join(shared, "*", strings.TrimPrefix(digest, "sha256:")+".cwasm"))
	if err != nil || len(files) == 0 {
		t.Fatalf("testnode: no code of %s in %s: %v", name, shared, err)
	}
	compiled[name] = files
	return files
}
