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

// requireHistory is an environment variable. With it, tests of upgrades fail in a clone without the
// history.
const requireHistory = "KRUSTLET_WASI_TEST_HISTORY"

var earlierMu sync.Mutex

// HasCommit reports whether this clone has a commit. A shallow clone or a copy of the files does
// not have it: HasCommit logs that, and the test of an upgrade does not run. With
// KRUSTLET_WASI_TEST_HISTORY it always returns true, so that the test fails.
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

// Earlier builds the agent of an earlier commit of this repository and returns its path. It builds
// it once on a machine, in the user's cache folder, with the test's engine. The clone's history
// must have the commit: without the earlier program, a test of an upgrade would prove nothing.
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
	// Other test processes may build the same program now. Each one writes a complete file.
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

// linkEngine makes a link to the engine's library where the sources of the commit expect it.
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
