package filetree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"github.com/krustlet-go/krustlet-wasi/hack/deeptree"
	"github.com/krustlet-go/krustlet-wasi/hack/ownprocess"
)

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", filepath.Base(path), err)
	}
}

// inMemory is a directory in memory, because a disk takes half a minute for so many files. The
// process has its own mounts.
func inMemory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("x", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// TestRemoveDeep: trees of 25,000 levels are removed with few descriptors, and so are the files
// beside the deep path.
func TestRemoveDeep(t *testing.T) {
	if !ownprocess.Enter(t, unix.CLONE_NEWNS) {
		return
	}
	fast := inMemory(t)
	for name, test := range map[string]struct {
		in           string
		levels, most int
	}{"at once": {fast, levels, maxDepth}, "moved up": {fast, levels / 2, 999}, "on disk": {t.TempDir(), 1000, 99}} {
		dir := makeDir(t, test.in, "tree")
		deeptree.Make(t, dir, test.levels, 1)
		deeptree.Make(t, makeDir(t, dir, "aside"), 3*window, 1)
		for i := range 100 {
			write(t, filepath.Join(dir, fmt.Sprint(i), "a", "file"), 1)
		}
		ownprocess.LimitFiles(t, 64)
		parent, err := os.Open(filepath.Dir(dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := removeTree(t.Context(), int(parent.Fd()), "tree", test.most); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_ = parent.Close()
		gone(t, dir)
	}
}

// TestRemoveWide: a directory of 100,000 files and directories is removed with few descriptors.
func TestRemoveWide(t *testing.T) {
	if !ownprocess.Enter(t, unix.CLONE_NEWNS) {
		return
	}
	dir := makeDir(t, inMemory(t), "tree")
	for i := range 50_000 {
		write(t, filepath.Join(dir, fmt.Sprint("f", i)), 0)
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprint("d", i)), 0o700); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			write(t, filepath.Join(dir, fmt.Sprint("d", i), "full"), 0)
		}
	}
	ownprocess.LimitFiles(t, 64)
	if err := Remove(t.Context(), dir); err != nil {
		t.Error(err)
	}
	gone(t, dir)
}

func TestRemoveOneOfEach(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	write(t, filepath.Join(precious, "file"), 1)
	for name, make := range map[string]func(path string) error{
		"file":    func(path string) error { return os.WriteFile(path, nil, 0) },
		"link":    func(path string) error { return os.Symlink(precious, path) },
		"pipe":    func(path string) error { return unix.Mkfifo(path, 0) },
		"empty":   func(path string) error { return os.Mkdir(path, 0o700) },
		"missing": func(string) error { return nil },
		"tree": func(path string) error {
			write(t, filepath.Join(path, "a/b/c"), 1)
			return os.Symlink("../../precious", filepath.Join(path, "a/link"))
		},
	} {
		path := filepath.Join(dir, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if err := Remove(t.Context(), path+"/"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		gone(t, path)
	}
	if err := Remove(t.Context(), filepath.Join(dir, "no", "such")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(precious, "file")); err != nil {
		t.Errorf("removed through a link: %v", err)
	}
	for _, path := range []string{"/", "..", "."} {
		if err := Remove(t.Context(), path); err == nil {
			t.Errorf("%s: removed", path)
		}
	}
}

// TestRemoveGoesOn: if a file cannot be removed, all others are removed. The error names the file,
// and the file is tried once.
func TestRemoveGoesOn(t *testing.T) {
	if !ownprocess.Enter(t, 0) {
		return
	}
	dir := makeDir(t, t.TempDir(), "tree")
	kept := filepath.Join(dir, strings.Repeat("k/", 2*window), "kept")
	write(t, filepath.Join(kept, "file"), 1)
	for i := range 100 {
		write(t, filepath.Join(dir, "k", fmt.Sprint(i), "file"), 1)
	}
	if err := os.Chmod(kept, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := cap.NewSet().SetProc(); err != nil { // root could write everything
		t.Fatal(err)
	}
	err := Remove(t.Context(), dir)
	want := fmt.Sprintf(`remove %s: "file" %d levels below it: permission denied`, dir, 2*window+1)
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	left := 0
	_ = filepath.Walk(dir, func(string, os.FileInfo, error) error { left++; return nil })
	if want := 1 + 2*window + 2; left != want {
		t.Errorf("%d are left, want %d: the file and what leads there", left, want)
	}
	if err := os.Chmod(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Remove(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

// TestRemoveEnds: a removal ends with its context, and the next attempt removes the rest.
func TestRemoveEnds(t *testing.T) {
	dir := makeDir(t, t.TempDir(), "tree")
	for i := range 1000 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), 0)
	}
	if err := Remove(&lateContext{Context: t.Context(), left: 3}, dir); err == nil {
		t.Error("it has not ended")
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) < 100 || len(all) > 990 {
		t.Errorf("%d are left, %v", len(all), err)
	}
	if err := Remove(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

// TestRemoveStaysInside: a removal removes nothing outside of the tree, even if files in it are
// swapped and moved at the same time.
// docs/security.md: "and follows no link and no mount in them."
func TestRemoveStaysInside(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	for i := range 20 {
		write(t, filepath.Join(precious, fmt.Sprint(i), "kept"), 1)
	}
	tree := filepath.Join(dir, "tree")
	var stop atomic.Bool
	done := make(chan struct{})
	go func() { // it replaces directories with links to other files, and moves levels of the walk out of the tree
		defer close(done)
		for i := 0; !stop.Load(); i++ {
			at := filepath.Join(tree, fmt.Sprint(i%5))
			_ = os.MkdirAll(filepath.Join(at, strings.Repeat("x/", 2*window)), 0o755)
			_ = os.WriteFile(filepath.Join(at, "x", "file"), nil, 0o600)
			out := filepath.Join(dir, "out", fmt.Sprint(i))
			_ = os.MkdirAll(filepath.Dir(out), 0o755)
			_ = os.Rename(filepath.Join(at, "x", "x"), out)
			_ = os.Symlink(precious, filepath.Join(at, "x", "x"))
			_ = os.Rename(filepath.Join(at, "x"), filepath.Join(at, "y"))
			_ = os.Symlink("../../precious", filepath.Join(at, "x"))
		}
	}()
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
		_ = Remove(t.Context(), tree)
	}
	stop.Store(true)
	<-done
	for i := range 20 {
		if _, err := os.Stat(filepath.Join(precious, fmt.Sprint(i), "kept")); err != nil {
			t.Errorf("removed: %v", err)
		}
	}
	if err := Remove(t.Context(), tree); err != nil {
		t.Error(err)
	}
	gone(t, tree)
}

// TestRemoveOfWhatMovesAway: a removal ends if levels were moved out of the tree, and does not
// follow them.
func TestRemoveOfWhatMovesAway(t *testing.T) {
	dir := t.TempDir()
	tree, out := makeDir(t, dir, "tree"), makeDir(t, dir, "out")
	kept := filepath.Join(out, "kept")
	write(t, kept, 1)
	deep := filepath.Join(tree, strings.Repeat("x/", 4*window))
	write(t, filepath.Join(deep, "file"), 1)
	ctx := &hooked{Context: t.Context(), at: func(n int) {
		if n == 1 {
			return // before the walk starts
		}
		_ = os.Rename(filepath.Join(tree, "x", "x"), filepath.Join(out, "x"))
	}}
	if err := Remove(ctx, tree); err == nil || !strings.Contains(err.Error(), "are being moved") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

// TestRemoveAgainstAWriter: a program that creates files again and again delays a removal only for
// a bounded time.
func TestRemoveAgainstAWriter(t *testing.T) {
	dir := makeDir(t, t.TempDir(), "tree")
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; !stop.Load(); i++ {
			_ = os.MkdirAll(filepath.Join(dir, "a", fmt.Sprint(i%100)), 0o755)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_ = Remove(ctx, dir)
	if ctx.Err() != nil {
		t.Error("it goes on for ever")
	}
	stop.Store(true)
	<-done
	if err := Remove(t.Context(), dir); err != nil {
		t.Error(err)
	}
}
