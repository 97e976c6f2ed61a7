package guests

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wrap"
)

// Component is the path of a component that is written in WAT. hello-0.2 and hello-0.3 are commands
// of these versions of WASI that print a line. kitchen-0.2 and kitchen-0.3 have a small command for
// each thing that a test wants a guest to do, the same in both: kitchen-0.3.wat lists them.
// hello-0.3 has a callback, kitchen-0.3 blocks. config logs its configuration, and lookup-0.2 looks
// up the names that are its arguments. Tests may not change the files. http-hello-0.2,
// http-hello-0.3, http-kitchen-0.2 and http-kitchen-0.3 are HTTP handlers: the first two answer
// `hello`, the others do what the path says. http-blocks-0.3 waits on its stack first, and
// http-proxy-0.3 sends requests on to the server that the path names.
// http-grpc-0.2 serves gRPC.
func Component(t testing.TB, name string) string {
	t.Helper()
	return assembled(t, filepath.Join("wat", name))
}

// assembled is a text in WAT as a component.
func assembled(t testing.TB, name string) string {
	t.Helper()
	return once(t, name, func(to string) *exec.Cmd {
		return exec.Command("go", "run", "../assemble", name+".wat", to)
	})
}

// Wrapped is the guest that Build makes, wrapped as a component of WASI 0.2. Package wrap says in
// what the component differs from the module. Tests may not change the file.
func Wrapped(t testing.TB, name string) string {
	t.Helper()
	module, err := os.ReadFile(Build(t, name))
	if err != nil {
		t.Fatalf("wrap guest %s: %v", name, err)
	}
	return Wrap(t, name, module)
}

// Wrap is a command of preview 1, wrapped as a component of WASI 0.2: see Wrapped.
func Wrap(t testing.TB, name string, module []byte) string {
	t.Helper()
	adapter, err := os.ReadFile(assembled(t, "wrap/adapter"))
	if err != nil {
		t.Fatalf("wrap guest %s: %v", name, err)
	}
	component, err := wrap.Command(adapter, module)
	if err != nil {
		t.Fatalf("wrap guest %s: %v", name, err)
	}
	path, err := keep(name+"-component.wasm", component)
	if err != nil {
		t.Fatalf("wrap guest %s: %v", name, err)
	}
	return path
}
