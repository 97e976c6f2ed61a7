package wasi

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
)

// everyWay runs a test with and without openat2. An old kernel or a filter may not have it.
func everyWay(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if !hasOpenat2() {
		t.Error("this kernel has no openat2: half of the code is not tested")
	}
	usual := hasOpenat2
	defer func() { hasOpenat2 = usual }()
	for name, has := range map[string]bool{"openat2": true, "names": false} {
		hasOpenat2 = func() bool { return has }
		t.Run(name, test)
	}
}

// TestOpenBelow opens paths that lead out of the directory, or through links.
// docs/security.md: "Each path is opened by the kernel's `openat2` (a single name by `openat`),
// which holds it to that directory and follows no link by itself"
func TestOpenBelow(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		base := t.TempDir()
		testfiles.Write(t, filepath.Join(base, "secret"), "secret")
		testfiles.Write(t, filepath.Join(base, "in/dir/file"), "file")
		testfiles.Symlink(t, "dir", filepath.Join(base, "in/link"))
		testfiles.Symlink(t, "file", filepath.Join(base, "in/dir/last"))
		testfiles.Symlink(t, "../../secret", filepath.Join(base, "in/dir/out"))
		root, err := unix.Open(filepath.Join(base, "in"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(root)
		for path, want := range map[string]error{
			"dir/file": nil, "dir": nil, ".": nil, "link/file": unix.ELOOP, "dir/last": unix.ELOOP, "dir/out": unix.ELOOP,
			"../secret": unix.EXDEV, "dir/../../secret": unix.EXDEV, "dir/file/x": unix.ENOTDIR, "no": unix.ENOENT, "no/x": unix.ENOENT,
		} {
			fd, err := openBelow(root, path, unix.O_RDONLY, 0)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", path, err, want)
			}
			if err == nil {
				_ = unix.Close(fd)
			}
		}
		fd, err := openBelow(root, "dir/out", unix.O_PATH|unix.O_NOFOLLOW, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd)
		if target, err := readlinkBelow(root, "dir/out"); target != "../../secret" || err != nil {
			t.Errorf("the link says %q, %v", target, err)
		}
	})
}
