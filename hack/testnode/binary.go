package testnode

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
)

var (
	buildMu sync.Mutex
	built   string
)

// Binary builds the agent, once per test binary, and returns its path. Whoever calls first owns the folder: see
// RemoveBinary.
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

// BuildAgent builds the agent, which calls itself by that version.
func BuildAgent(t testing.TB, path, version string) {
	t.Helper()
	args := append([]string{"build", "-o", path, "-ldflags", "-X main.version=" + version}, buildFlags...)
	build := exec.Command("go", append(args, "./cmd/krustlet-wasi")...)
	build.Dir = testcluster.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("testnode: building the agent: %v\n%s", err, out)
	}
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
