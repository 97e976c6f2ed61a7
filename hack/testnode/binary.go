package testnode

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
)

var (
	buildMu sync.Mutex
	built   string
)

// Binary builds the agent, once per test binary, and returns its path. The first caller owns the
// folder: see RemoveBinary.
func Binary(t testing.TB) string {
	t.Helper()
	buildMu.Lock()
	defer buildMu.Unlock()
	if built != "" {
		return built
	}
	dir, err := os.MkdirTemp("", "krustlet-agent-")
	if err != nil {
		t.Fatalf("testnode: %v", err)
	}
	built = filepath.Join(dir, "krustlet-wasi")
	BuildAgent(t, built, "test")
	return built
}

// sources are what the agent is built from.
var sources = []string{"go.mod", "cmd", "kubeletapi", "node", "podsync", "registry", "runtime", "tlsbootstrap"}

// BuildAgent builds the agent, which calls itself by that version.
func BuildAgent(t testing.TB, path, version string) {
	t.Helper()
	// go test takes an earlier result for a new one while all files that it saw the test read are
	// unchanged: the agent's sources must be among them.
	for _, s := range sources {
		err := filepath.WalkDir(filepath.Join(testcluster.Root(), s), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			t.Fatalf("testnode: %v", err)
		}
	}
	build(t, testcluster.Root(), path, version, buildFlags...)
}

// build builds the agent of a source tree, with the engine that the test is linked with.
func build(t testing.TB, tree, path, version string, flags ...string) {
	t.Helper()
	args := []string{"build", "-buildvcs=false", "-o", path, "-ldflags", "-X main.version=" + version + " -X main.engineKey=" + engineKey(t)}
	if withEngine {
		args = append(args, "-tags", "engine")
	}
	cmd := exec.Command("go", append(append(args, flags...), "./cmd/krustlet-wasi")...)
	cmd.Dir = tree
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("testnode: building the agent: %v\n%s", err, out)
	}
}

// engineKey names the library of `make engine`, as the Makefile tells it to the linker; empty is
// wasmtime-go's.
func engineKey(t testing.TB) string {
	t.Helper()
	if !withEngine {
		return ""
	}
	key, err := os.ReadFile(filepath.Join(testcluster.Root(), "bin", "engine", "key"))
	if err != nil {
		t.Fatalf("testnode: the engine's library: %v", err)
	}
	return strings.TrimSpace(string(key))
}

// RemoveBinary removes what Binary built. TestMain calls it last.
func RemoveBinary() {
	buildMu.Lock()
	defer buildMu.Unlock()
	if built == "" {
		return
	}
	if err := os.RemoveAll(filepath.Dir(built)); err != nil {
		fmt.Fprintln(os.Stderr, "testnode:", err)
	}
	built = ""
}
