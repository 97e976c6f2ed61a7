package filetree

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"github.com/krustlet-go/krustlet-wasi/hack/deeptree"
	"github.com/krustlet-go/krustlet-wasi/hack/ownprocess"
)

// levels is the depth of the trees in tests. A path to the end would have half a megabyte.
const levels = 25_000

func write(t *testing.T, path string, size int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, path string, max int64, parts ...*Part) Usage {
	t.Helper()
	u, err := Count(t.Context(), path, max, parts...)
	if err != nil {
		t.Error(err)
	}
	return u
}

// TestCountIsAsDu: Count counts what a tree and its parts take, and counts files with several names
// once, like du.
func TestCountIsAsDu(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a/b/file"), 1<<20)
	write(t, filepath.Join(dir, "a/c/file"), 3<<20)
	write(t, filepath.Join(dir, "d/file"), 5<<20)
	for _, err := range []error{
		os.Link(filepath.Join(dir, "a/c/file"), filepath.Join(dir, "a/c/again")), os.Symlink("/", filepath.Join(dir, "d/link")),
		unix.Mkfifo(filepath.Join(dir, "d/pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b, none, d := &Part{Path: "a"}, &Part{Path: "a/b"}, &Part{Path: "a/none"}, &Part{Path: "d"}
	all := count(t, dir, 0, a, b, none, d)
	var want Usage
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if !seen[st.Ino] {
			seen[st.Ino] = true
			want.add(&st)
		}
		return err
	})
	if err != nil || all != want {
		t.Errorf("%+v, want %+v; %v", all, want, err)
	}
	// A part inside another part counts only for itself.
	for part, want := range map[*Part][2]int64{a: {3 << 20, 3}, b: {1 << 20, 2}, none: {0, 0}, d: {5 << 20, 4}} {
		if u := part.Usage; u.Inodes != want[1] || u.Bytes < want[0] || u.Bytes > want[0]+64<<10 || u.Partial {
			t.Errorf("%s: %+v, want %d inodes and %d bytes", part.Path, u, want[1], want[0])
		}
	}
	if u := count(t, filepath.Join(dir, "missing"), 0); u != (Usage{}) {
		t.Errorf("of nothing: %+v", u)
	}
	if u := count(t, filepath.Join(dir, "d/file"), 0); u.Inodes != 1 || u.Bytes < 5<<20 {
		t.Errorf("of a file: %+v", u)
	}
	if u := count(t, filepath.Join(dir, "d/link"), 0); u.Inodes != 1 {
		t.Errorf("through a link: %+v", u)
	}
	if u := count(t, dir, 4); u.Inodes != 4 || !u.Partial || !u.Exceeds(1<<40) {
		t.Errorf("four files at most: %+v", u)
	}
}

// TestCountDeep: a file below 25,000 levels counts. Count needs few descriptors for it. Other files
// beside the path make no difference.
// docs/security.md: "The agent counts and removes such trees with at most 20 open files, and
// follows no link and no mount in them"
func TestCountDeep(t *testing.T) {
	if !ownprocess.Enter(t, syscall.CLONE_NEWNS) {
		return
	}
	dir := inMemory(t)
	deeptree.Make(t, dir, levels, 7<<20)
	deeptree.Make(t, makeDir(t, dir, "aside"), 40, 2<<20)
	part := &Part{Path: "aside"}
	ownprocess.LimitFiles(t, 64)
	u := count(t, dir, 0, part)
	dirs := int64(levels + 1 + 1 + 40)
	if u.Inodes != dirs+2 || u.Bytes < 9<<20 || u.Bytes > 9<<20+(dirs+2)*4096 || u.Partial {
		t.Errorf("%+v, want %d inodes and 9 MiB", u, dirs+2)
	}
	if p := part.Usage; p.Inodes != 42 || p.Bytes < 2<<20 || p.Bytes > 3<<20 {
		t.Errorf("beside: %+v", p)
	}
	if u, err := countTree(t.Context(), dir, 0, levels/2, nil); err != nil || !u.Partial {
		t.Errorf("deeper than is remembered: %+v %v", u, err)
	}
}

func makeDir(t *testing.T, elem ...string) string {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCountUnreadable: a directory that cannot be read makes the usage of its part Partial.
func TestCountUnreadable(t *testing.T) {
	if !ownprocess.Enter(t, 0) {
		return
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a/closed/file"), 1<<20)
	write(t, filepath.Join(dir, "b/names-only/file"), 1<<20) // it can be listed, but its entries have no attributes
	for path, mode := range map[string]os.FileMode{"a/closed": 0, "b/names-only": 0o400} {
		if err := os.Chmod(filepath.Join(dir, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "c/file"), 1<<20)
	if err := cap.NewSet().SetProc(); err != nil { // root could read everything
		t.Fatal(err)
	}
	a, b, c := &Part{Path: "a"}, &Part{Path: "b"}, &Part{Path: "c"}
	if u := count(t, dir, 0, a, b, c); !u.Partial || u.Bytes < 1<<20 || u.Bytes > 2<<20 {
		t.Errorf("%+v", u)
	}
	if !a.Usage.Partial || !b.Usage.Partial || c.Usage.Partial {
		t.Errorf("parts: %+v %+v %+v", a, b, c)
	}
	for path := range map[string]bool{"a/closed": true, "b/names-only": true} {
		if err := os.Chmod(filepath.Join(dir, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCountWithoutDescriptors: if the process has no descriptors left, the error does not count
// against the tree.
func TestCountWithoutDescriptors(t *testing.T) {
	if !ownprocess.Enter(t, 0) {
		return
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a/b/c/file"), 1)
	count(t, dir, 0)
	ownprocess.LimitFiles(t, 64)
	var held []*os.File
	for range 64 {
		if f, err := os.Open(dir); err == nil {
			held = append(held, f)
		}
	}
	u, err := Count(t.Context(), dir, 0)
	if err == nil || !strings.Contains(err.Error(), "too many open files") || u.Partial {
		t.Errorf("%+v %v", u, err)
	}
	for _, f := range held {
		_ = f.Close()
	}
}

// TestCountInTime: if a tree cannot be counted in time, its usage is Partial, unless the disk is
// slow.
func TestCountInTime(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		for k := range 600 {
			write(t, filepath.Join(dir, fmt.Sprint(i), fmt.Sprint(k)), 0)
		}
	}
	late := &lateContext{Context: t.Context(), left: 10_500 / looks}
	if u, err := Count(late, dir, 0); err != nil || !u.Partial || u.Inodes < fair {
		t.Errorf("10,500 files in time: %+v %v", u, err)
	}
	late = &lateContext{Context: t.Context(), left: 5}
	if u, err := Count(late, dir, 0); err == nil || !strings.Contains(err.Error(), "the disk is slow") || u.Partial {
		t.Errorf("some hundred files in time: %+v %v", u, err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if u, err := Count(ended, dir, 0); err == nil || u.Partial {
		t.Errorf("after its context has ended: %+v %v", u, err)
	}
}

// lateContext is a context whose deadline comes after some calls of Err.
type lateContext struct {
	context.Context //nolint:containedctx // it is one
	left            int
}

func (c *lateContext) Err() error {
	if c.left--; c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestCountWhatMoves: if directories are moved during the walk, the tree is counted again. If that
// happens again, its usage is Partial.
func TestCountWhatMoves(t *testing.T) {
	dir := t.TempDir()
	here, there := filepath.Join(makeDir(t, dir, "a"), "moves"), filepath.Join(makeDir(t, dir, "b"), "moves")
	write(t, filepath.Join(here, strings.Repeat("x/", 50), "file"), 1) // so deep that the context is checked once on the way up
	for _, test := range []struct {
		times   int
		partial bool
	}{{0, false}, {1, false}, {2, true}} {
		left := test.times
		ctx := &hooked{Context: t.Context(), at: func(int) {
			if left--; left >= 0 {
				if err := os.Rename(here, there); err != nil {
					t.Error(err)
				}
				here, there = there, here
			}
		}}
		u, err := Count(ctx, dir, 0)
		if err != nil || u.Partial != test.partial || !u.Partial && u.Inodes != 55 {
			t.Errorf("moved %d times: %+v %v", test.times, u, err)
		}
	}
}

// hooked is a context that calls a function at each check.
type hooked struct {
	context.Context //nolint:containedctx // it is one
	n               int
	at              func(n int)
}

func (c *hooked) Err() error {
	c.n++
	c.at(c.n)
	return c.Context.Err()
}

// TestCountWhileFilesGo: the usage is not Partial only because files are made and removed during
// the count.
func TestCountWhileFilesGo(t *testing.T) {
	dir := t.TempDir()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			sub := filepath.Join(dir, fmt.Sprint(i%50))
			_ = os.MkdirAll(filepath.Join(sub, "x", "y"), 0o755)
			_ = os.WriteFile(filepath.Join(sub, "x", "y", "file"), nil, 0o600)
			_ = os.RemoveAll(filepath.Join(dir, fmt.Sprint((i+25)%50)))
		}
	}()
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		if u := count(t, dir, 0); u.Partial {
			t.Errorf("%+v", u)
			break
		}
	}
	close(stop)
	<-done
}

// TestCountStopsAtMounts: a mounted file system does not count, even if it is the tree's own file
// system.
func TestCountStopsAtMounts(t *testing.T) {
	if !ownprocess.Enter(t, syscall.CLONE_NEWNS) {
		return
	}
	dir, other := t.TempDir(), t.TempDir()
	write(t, filepath.Join(other, "file"), 9<<20)
	write(t, filepath.Join(dir, "file"), 1<<20)
	for name, mount := range map[string]func(at string) error{
		"bind":  func(at string) error { return unix.Mount(other, at, "", unix.MS_BIND, "") },
		"tmpfs": func(at string) error { return unix.Mount("x", at, "tmpfs", 0, "") },
	} {
		at := makeDir(t, dir, name)
		if err := mount(at); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(at, unix.MNT_DETACH)
	}
	write(t, filepath.Join(dir, "tmpfs", "file"), 9<<20)
	for _, openat2 := range []bool{true, false} {
		withOpenat2(t, openat2)
		if u := count(t, dir, 0); u.Bytes > 2<<20 || u.Partial {
			t.Errorf("openat2 %v: %+v", openat2, u)
		}
		if err := Remove(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "something is mounted there") {
			t.Errorf("openat2 %v: removed with what is mounted in it: %v", openat2, err)
		}
		if err := Remove(t.Context(), filepath.Join(dir, "bind")); err == nil || !strings.Contains(err.Error(), "something is mounted there") {
			t.Errorf("openat2 %v: removed what is mounted: %v", openat2, err)
		}
		for _, kept := range []string{filepath.Join(other, "file"), filepath.Join(dir, "tmpfs", "file")} {
			if _, err := os.Stat(kept); err != nil {
				t.Errorf("openat2 %v: removed through a mount: %v", openat2, err)
			}
		}
	}
}

// withOpenat2 makes the test behave as on a kernel with or without openat2.
func withOpenat2(t *testing.T, has bool) {
	before := hasOpenat2
	hasOpenat2 = func() bool { return has }
	t.Cleanup(func() { hasOpenat2 = before })
}

// TestLinkedFilesAreBounded: only a limited number of files with several names is remembered. Each
// name of other files counts.
func TestLinkedFilesAreBounded(t *testing.T) {
	c := newCounter(0, maxDepth, nil)
	for ino := range uint64(maxLinked + 1) {
		if err := c.add(&unix.Stat_t{Ino: ino, Nlink: 2, Mode: unix.S_IFREG}, c.top); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.linked) != maxLinked {
		t.Errorf("%d are remembered", len(c.linked))
	}
	for ino := range uint64(maxLinked + 1) {
		_ = c.add(&unix.Stat_t{Ino: ino, Nlink: 2, Mode: unix.S_IFREG}, c.top)
	}
	if c.sum.Inodes != maxLinked+2 || len(c.linked) > 1 {
		t.Errorf("%d inodes, and %d are remembered without need", c.sum.Inodes, len(c.linked))
	}
}
