package testnode

import (
	"fmt"
	"io/fs"
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

// sources are what the agent is built from.
var sources = []string{"go.mod", "cmd", "kubeletapi", "node", "podsync", "registry", "runtime", "tlsbootstrap"}

// BuildAgent builds the agent, which calls itself by that version.
func BuildAgent(t testing.TB, path, version string) {
	t.Helper()
	// go test takes an earlier result for a new one while all is as it was that it saw the test read: the agent's sources have to be
	// among that.
	for _, s := range sources {
		err := filepath.WalkDir(filepath.Join(testcluster.Root(), s), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			t.Fatalf("testnode: %v", err)
		}
	}
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
