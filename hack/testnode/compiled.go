package testnode

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

var compileMu sync.Mutex

// Compiled gives the node the machine code of guests of hack/guests, as if the node had run them
// before. Compiling one takes seconds. When a dozen agents each compiled at the same time, it took
// minutes. The code is for the test's engine, which is also the agent's under make test.
func (n *Node) Compiled(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		digest, code := machineCode(t, name)
		place := wasmtime.CompiledPath(filepath.Join(n.DataDir, "modules", "compiled"), digest)
		if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
			t.Fatalf("testnode: %v", err)
		}
		if os.Link(code, place) == nil { // such files are replaced, never changed
			continue
		}
		content, err := os.ReadFile(code)
		if err == nil {
			err = os.WriteFile(place, content, 0o600)
		}
		if err != nil {
			t.Fatalf("testnode: %v", err)
		}
	}
}

// machineCode compiles a guest once for all tests. It returns the guest's digest and the file of
// its code.
func machineCode(t testing.TB, name string) (digest, code string) {
	t.Helper()
	compileMu.Lock()
	defer compileMu.Unlock()
	shared := guests.CacheDir(t)
	compiler, err := wasmtime.NewCompiler(wasmtime.Config{CacheDir: shared, Log: zap.NewNop()})
	if err != nil {
		t.Fatalf("testnode: %v", err)
	}
	defer compiler.Close()
	path := guests.Build(t, name)
	digest = guests.Digest(t, path)
	if err := compiler.Compile(t.Context(), "", digest, path); err != nil {
		t.Fatalf("testnode: compile %s: %v", name, err)
	}
	return digest, wasmtime.CompiledPath(shared, digest)
}
