package preview1

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// countdown is the context of a guest that is killed after a number of checks. It measures work in
// checks, not in time.
type countdown struct {
	context.Context //nolint:containedctx // it is one
	left, looks     int
}

func (c *countdown) Err() error {
	if c.looks++; c.looks > c.left {
		return context.Canceled
	}
	return nil
}

// killedAfter makes the host kill the guest after this number of checks.
func (c *caller) killedAfter(looks int) *countdown {
	ctx := &countdown{Context: context.Background(), left: looks}
	c.ctx = ctx
	return ctx
}

// processorTime is the processor time of the calling thread for work. work must not wait.
func processorTime(t *testing.T, work func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &before); err != nil {
		t.Fatal(err)
	}
	work()
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &after); err != nil {
		t.Fatal(err)
	}
	return time.Duration(after.Nano() - before.Nano())
}

// chain makes a chain of nested directories with this name, even if the path becomes too long. It
// returns the last one, open.
func chain(t testing.TB, dir, name string, levels int) int {
	t.Helper()
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range levels {
		if err := unix.Mkdirat(at, name, 0o755); err != nil && err != unix.EEXIST {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(at)
		at = next
	}
	t.Cleanup(func() { _ = unix.Close(at) })
	return at
}

// longWalk is a guest with a tree of this depth. Each link at the bottom leads up and down to the
// next link, and the last one to a file.
func longWalk(t testing.TB, depth, links int) (c *caller, path string) {
	t.Helper()
	root := t.TempDir()
	bottom := chain(t, root, "a", depth)
	name := func(i int) string { return "l" + string(rune('A'+i)) }
	for i := range links {
		if err := unix.Symlinkat(strings.Repeat("../a/", 780)+name(i+1), bottom, name(i)); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Openat(bottom, name(links), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	return newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}}), strings.Repeat("a/", depth) + name(0)
}

// TestWalksAreBounded makes every function walk the path that takes the longest time.
// docs/security.md: "Paths, links and depth are
// [bounded](conformance.md#where-the-specification-leaves-a-choice)."
func TestWalksAreBounded(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		c, path := longWalk(t, 1500, 39)
		p, n := c.put(addrPath, path)
		c.put(addrPath2, "x")
		for name, args := range map[string][]uint64{
			"path_filestat_get":       {3, 1, p, n, addrData},
			"path_filestat_set_times": {3, 1, p, n, 0, 0, 0},
			"path_open":               {3, 1, p, n, 0, 0, 0, 0, addrResult},
			"path_link":               {3, 1, p, n, 3, addrPath2, 1},
		} {
			var err error
			took := processorTime(t, func() { err = c.call(name, args...) })
			if err != ErrnoNametoolong || took > time.Second {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		}
		ctx := c.killedAfter(2)
		c.want(wasi.ErrKilled, "path_filestat_get", 3, 1, p, n, addrData)
		c.want(wasi.ErrKilled, "path_create_directory", 3, p, n)
		c.want(wasi.ErrKilled, "path_remove_directory", 3, p, n)
		c.want(wasi.ErrKilled, "path_unlink_file", 3, p, n)
		c.want(wasi.ErrKilled, "path_readlink", 3, p, n, addrData, 8, addrResult)
		c.want(wasi.ErrKilled, "path_rename", 3, p, n, 3, addrPath2, 1)
		c.want(wasi.ErrKilled, "path_rename", 3, addrPath2, 1, 3, p, n)
		c.want(wasi.ErrKilled, "path_link", 3, 0, p, n, 3, addrPath2, 1)
		c.want(wasi.ErrKilled, "path_symlink", addrPath2, 1, 3, p, n)
		if ctx.looks > 20 {
			t.Errorf("%d looks until the kills were seen", ctx.looks)
		}
	})
}

// TestWalkLooksForTheKill counts the checks during an allowed walk.
func TestWalkLooksForTheKill(t *testing.T) {
	c, path := longWalk(t, 200, 1)
	p, n := c.put(addrPath, path)
	ctx := c.killedAfter(1 << 20)
	c.want(nil, "path_filestat_get", 3, 1, p, n, addrData)
	const stepsPerLook = 8
	if steps := 200 + 2*780; ctx.looks < steps/stepsPerLook {
		t.Errorf("%d looks in %d steps", ctx.looks, steps)
	}
}

// TestWalkUpAndDown goes further up than the directories that a walk holds open. It does so from a
// descriptor and from the root.
func TestWalkUpAndDown(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		root := t.TempDir()
		testfiles.Write(t, filepath.Join(root, "1/2/3/4/5/6/7/8/9/file"), "file")
		testfiles.Write(t, filepath.Join(root, "other/file"), "other")
		down := "1/2/3/4/5/6/7/8/9/"
		testfiles.Symlink(t, "../../../3/4/5/../../4/5/6/7/8/9/file", filepath.Join(root, "1/2/3/4/5/link"))
		testfiles.Symlink(t, strings.Repeat("../", 9)+"other/file", filepath.Join(root, down+"up"))
		c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}})
		for path, want := range map[string]string{
			down + strings.Repeat("../", 9) + down + "file":                  "file",
			down + strings.Repeat("../", 6) + "4/5/6/../../5/6/7/8/9/./file": "file",
			down + strings.Repeat("../9/", 300) + "file":                     "file",
			down + strings.Repeat("../", 12) + "other/file":                  "other",
			"1/2/3/4/5/link":           "file",
			"1/2/3/4/5/../5/link":      "file",
			down + "up":                "other",
			down + "../9/../../8/9/up": "other",
		} {
			if text, err := c.content(path); text != want || err != nil {
				t.Errorf("%.60s: %q, %v", path, text, err)
			}
		}
	})
}

// descriptors is the number of open files of this OS process.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestWalkKeepsNoDescriptors counts the descriptors of the OS process after walks of all kinds.
func TestWalkKeepsNoDescriptors(t *testing.T) {
	c, path := longWalk(t, 100, 2)
	_, _ = c.content("a/a/a/a")
	before := descriptors(t)
	for range 20 {
		_, _ = c.content(path)
		_, _ = c.content(strings.Repeat("a/", 90) + "../nothing/x")
		c.killedAfter(1)
		_, _ = c.content(path)
		c.ctx = t.Context()
	}
	if after := descriptors(t); after > before+2 { // goroutines of other tests may open some
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestLengthsAreBounded(t *testing.T) {
	c, _ := world(t)
	long := strings.Repeat("d/", wasi.MaxPath/2)
	for _, path := range []string{long, long[:wasi.MaxPath-1] + "x", strings.Repeat("x", wasi.MaxName+1), "dir/" + strings.Repeat("x", wasi.MaxName+1)} {
		for _, name := range []string{"path_create_directory", "path_remove_directory", "path_unlink_file"} {
			if err := c.one(name, path); err != ErrnoNametoolong {
				t.Errorf("%s %.20q of %d bytes: %v", name, path, len(path), err)
			}
		}
		for _, name := range []string{"path_symlink", "path_link", "path_rename"} {
			if err := c.two(name, "dir/nested/file", path); err != ErrnoNametoolong {
				t.Errorf("%s %.20q of %d bytes: %v", name, path, len(path), err)
			}
		}
	}
	if err := c.two("path_symlink", long, "l"); err != ErrnoNametoolong {
		t.Errorf("a link to a long path: %v", err)
	}
	name := strings.Repeat("x", wasi.MaxName)
	if err := errors.Join(c.one("path_create_directory", name), c.one("path_remove_directory", name)); err != nil {
		t.Errorf("a name of %d bytes: %v", len(name), err)
	}
}
