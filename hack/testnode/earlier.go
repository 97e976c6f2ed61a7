package testnode

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
)

// requireHistory has a clone without the history fail its tests of upgrades.
const requireHistory = "KRUSTLET_WASI_TEST_HISTORY"

var earlierMu sync.Mutex

// HasCommit reports whether this clone has a commit. A clone that is shallow, or a copy of the
// files, does not, and says so: its tests of upgrades are not run, unless
// KRUSTLET_WASI_TEST_HISTORY is set.
func HasCommit(t testing.TB, commit string) bool {
	t.Helper()
	cmd := exec.Command("git", "cat-file", "-e", commit+"^{commit}")
	cmd.Dir = testcluster.Root()
	if cmd.Run() == nil || os.Getenv(requireHistory) != "" {
		return true
	}
	t.Logf("not tested: this clone does not have commit %s; clone the repository with its history, or run `git fetch --unshallow`", commit)
	return false
}

// Earlier builds the agent of an earlier commit of this repository and returns its path. It is
// built once for a machine, in the user's cache folder, with the engine that the test is linked
// with. The commit must be in the clone's history: a test of an upgrade without the program before
// it would prove nothing.
func Earlier(t testing.TB, commit string) string {
	t.Helper()
	earlierMu.Lock()
	defer earlierMu.Unlock()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("testnode: a folder for the agent of an earlier commit: %v", err)
	}
	dir := filepath.Join(cache, "krustlet-wasi-test", "agents")
	binary := filepath.Join(dir, strings.TrimSuffix(commit+"-"+engineKey(t), "-"))
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatalf("testnode: a folder for the agent of an earlier commit: %v", err)
	}
	tree, err := os.MkdirTemp(dir, "source-")
	if err != nil {
		t.Fatalf("testnode: a folder for the agent of an earlier commit: %v", err)
	}
	defer func() { _ = os.RemoveAll(tree) }()
	unpackCommit(t, commit, tree)
	if withEngine {
		linkEngine(t, tree)
	}
	build(t, tree, "krustlet-wasi", commit[:8])
	// Other test processes may build the same one now. Each leaves a whole program.
	if err := os.Rename(filepath.Join(tree, "krustlet-wasi"), binary); err != nil {
		t.Fatalf("testnode: keeping the agent of commit %s: %v", commit, err)
	}
	return binary
}

// unpackCommit writes the files of a commit to a folder.
func unpackCommit(t testing.TB, commit, tree string) {
	t.Helper()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = testcluster.Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("testnode: this test needs the agent of commit %s, which the history of this clone does not have: "+
				"clone the repository with its history, or run `git fetch --unshallow`\ngit %v: %v\n%s", commit, args, err, out)
		}
	}
	git("cat-file", "-e", commit+"^{commit}")
	archive := filepath.Join(tree, "source.tar")
	git("archive", "--output", archive, commit)
	if out, err := exec.Command("tar", "-xf", archive, "-C", tree).CombinedOutput(); err != nil {
		t.Fatalf("testnode: unpacking commit %s: %v\n%s", commit, err, out)
	}
}

// linkEngine puts the engine's library where the files of the commit look for it.
func linkEngine(t testing.TB, tree string) {
	t.Helper()
	bin := filepath.Join(tree, "bin")
	err := os.MkdirAll(bin, 0o700)
	if err == nil {
		err = os.Symlink(filepath.Join(testcluster.Root(), "bin", "engine"), filepath.Join(bin, "engine"))
	}
	if err != nil {
		t.Fatalf("testnode: the engine's library: %v", err)
	}
}
