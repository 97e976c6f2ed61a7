package guests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wrap"
)

//go:generate wat/assemble.sh

// Component is the path of a component that is written in WAT. hello-0.2 and hello-0.3 are commands
// of these versions of WASI that print a line. kitchen-0.2 and kitchen-0.3 have a small command for
// each thing that a test wants a guest to do, the same in both: kitchen-0.3.wat lists them.
// hello-0.3 has a callback, kitchen-0.3 blocks. Tests may not change the file.
func Component(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(source(), "wat", name+".wasm")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("component %s: %v", name, err)
	}
	return path
}

// Wrapped is the guest that Build makes, wrapped as a component of WASI 0.2. Package wrap says in
// what the component differs from the module. Tests may not change the file.
func Wrapped(t testing.TB, name string) string {
	t.Helper()
	module, err := os.ReadFile(Build(t, name))
	if err != nil {
		t.Fatalf("wrap guest %s: %v", name, err)
	}
	component, err := wrap.Command(module)
	if err != nil {
		t.Fatalf("wrap guest %s: %v", name, err)
	}
	path, err := keep(name+"-component.wasm", component)
	if err != nil {
		t.Fatalf("wrap guest %s: %v", name, err)
	}
	return path
}
