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

// Binary builds the agent, once for each test binary, and returns its path. The test binary must
// call RemoveBinary at the end.
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

// sources are the files from which the agent is built.
var sources = []string{"go.mod", "cmd", "kubeletapi", "node", "podsync", "registry", "runtime", "tlsbootstrap"}

// BuildAgent builds the agent with this version.
func BuildAgent(t testing.TB, path, version string) {
	t.Helper()
	// go test reuses an earlier result if all files that the test opened are unchanged. So the test
	// must open the agent's sources.
	for _, s := range sources {
		err := filepath.WalkDir(filepath.Join(testcluster.Root(), s), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			t.Fatalf("testnode: %v", err)
		}
	}
	build(t, testcluster.Root(), path, version, buildFlags...)
}

// build builds the agent from a source tree, with the same engine as the test.
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

// engineKey names the library of `make engine`, as in the Makefile's linker flags. It is empty for
// wasmtime-go's library.
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

// RemoveBinary removes the agent that Binary built. TestMain calls it last.
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
