// Package deeptree makes directory trees for tests. They are deeper than any path can reach.
package deeptree

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// name is the name of each directory. With its 20 bytes, no path reaches more than 200 levels.
const name = "dddddddddddddddddddd"

// chain is how many levels are made at a time. The next levels are made elsewhere and then renamed
// into these, like a guest does that cannot open deep paths.
const chain = 1000

// Make makes nested directories, the first one in dir. The lowest one has a file of size bytes.
// They are removed when the test ends.
func Make(t testing.TB, dir string, levels, size int) {
	t.Helper()
	t.Cleanup(func() { flatten(t, dir) })
	top, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close() //nolint:errcheck // it was only read
	at, err := top, error(nil)
	for done := 0; done < levels && err == nil; {
		n := min(chain, levels-done)
		var bottom *os.File
		if done == 0 {
			at, err = below(top, name, n)
			done = n
			continue
		}
		if bottom, err = below(top, "next", n); err == nil {
			err = unix.Renameat(int(top.Fd()), "next", int(at.Fd()), name)
			_ = at.Close()
			at = bottom
		}
		done += n
	}
	if err != nil {
		t.Fatalf("making %d levels: %v", levels, err)
	}
	write(t, at, size)
	if err := at.Close(); err != nil { // while it is open, the kernel is slow to remove the directories above it
		t.Fatal(err)
	}
}

// flatten removes the directories of Make, if they exist, level by level. os.RemoveAll would hold a
// descriptor for each level.
func flatten(t testing.TB, dir string) {
	first, up := filepath.Join(dir, name), filepath.Join(dir, "up")
	for os.Rename(filepath.Join(first, name), up) == nil {
		err := os.RemoveAll(first)
		if err == nil {
			err = os.Rename(up, first)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(first); err != nil {
		t.Error(err)
	}
}

// below makes n nested directories and opens the lowest. The first one is in dir and has the name
// first.
func below(dir *os.File, first string, n int) (*os.File, error) {
	at, err := unix.Dup(int(dir.Fd()))
	for range n {
		if err == nil {
			err = unix.Mkdirat(at, first, 0o755)
		}
		next := -1
		if err == nil {
			next, err = unix.Openat(at, first, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		if at >= 0 {
			_ = unix.Close(at)
		}
		at, first = next, name
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(at), first), nil
}

func write(t testing.TB, dir *os.File, size int) {
	t.Helper()
	fd, err := unix.Openat(int(dir.Fd()), "file", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "file")
	_, err = f.Write(make([]byte, size))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil { // the sync makes the disk allocate blocks for the file
		t.Fatalf("writing %d bytes: %v", size, err)
	}
}
