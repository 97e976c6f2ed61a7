package wasi

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
)

// world is a guest with nested mounts, and with links of all kinds.
//
//	/            writable  dir/nested/file, var/run -> ../run
//	/ro          read-only file, link -> /dir/nested/file
//	/ro/rw       writable  inner
//	/ro/made/v   writable  empty: /ro has no directory made
//	/etc/hosts   a file, writable
//	/var/run/s   writable  token: below a link of the root
func world(t *testing.T) (*Guest, string) {
	t.Helper()
	base := t.TempDir()
	host := func(p string) string { return filepath.Join(base, p) }
	for _, name := range []string{"secret", "root/dir/nested/file", "root/run/pid", "ro/file", "rw/inner", "s/token", "v/empty", "hosts"} {
		testfiles.Write(t, host(name), name)
	}
	for link, target := range map[string]string{
		"root/var/run": "../run", "root/absolute": "/dir/nested/file", "root/relative": "dir/nested",
		"root/above": "../../../../secret", "root/outside": host("secret"), "root/into-mount": "ro/rw/inner",
		"root/loop": "loop", "root/dangling": "made-later", "root/slashed": "dir/nested/", "root/root": "/",
		"ro/link": "/dir/nested/file", "ro/back": "../dir/nested/file", "root/dir/upwards": "../ro/file",
	} {
		testfiles.Symlink(t, target, host(link))
	}
	g, err := New(Config{Mounts: []Mount{
		{Host: host("s"), Guest: "/var/run/s"}, {Host: host("hosts"), Guest: "/etc/hosts"}, {Host: host("rw"), Guest: "/ro/rw"},
		{Host: host("v"), Guest: "/ro/made/v"}, {Host: host("ro"), Guest: "/ro", ReadOnly: true}, {Host: host("root"), Guest: "/"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g, base
}

// TestDirectWayIsTheWalk opens every path of the world with and without a walk.
func TestDirectWayIsTheWalk(t *testing.T) {
	g, base := world(t)
	paths := []string{".", "ro/rw", "ro/rw/inner", "etc/hosts", "var/run/s/token", "run/s/token", "ro/made", "ro/made/v/empty", "new", "dir/new", "ro/new", "etc/hosts/x"}
	err := filepath.WalkDir(filepath.Join(base, "root"), func(path string, _ os.DirEntry, err error) error {
		rel, _ := filepath.Rel(filepath.Join(base, "root"), path)
		paths = append(paths, rel, rel+"/file", rel+"/nested/file")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	root := g.Root()
	direct := 0
	for _, path := range paths {
		for _, o := range []Opening{Read, Read | Write, OnlyDirectory, Read | Exclusive | Create} {
			p, ok := g.ns.direct(root, path)
			if !ok || p.mnt.readOnly && o.changes() {
				continue
			}
			quick, err := p.openDirect(t.Context(), o)
			if err != nil && !errors.Is(err, ErrNotExist) {
				continue // this path needs a walk
			}
			direct++
			if err == nil && o.creates() {
				if err := os.Remove(filepath.Join(p.mnt.host, p.rel)); err != nil {
					t.Fatal(err)
				}
			}
			walked, walkErr := g.ns.walk(t.Context(), root.location(), path, !o.exclusive())
			var slow Object
			if walkErr == nil {
				slow, walkErr = walked.open(t.Context(), o)
			}
			if (err == nil) != (walkErr == nil) || err != nil && ErrorOf(err) != ErrorOf(walkErr) {
				t.Errorf("%s, flags %d: %v directly, %v by a walk", path, o, err, walkErr)
			}
			if err != nil || walkErr != nil {
				continue
			}
			a, errA := quick.Stat()
			b, errB := slow.Stat()
			if errA != nil || errB != nil || a.Type != b.Type || a.Ino != b.Ino && !o.creates() {
				t.Errorf("%s: %+v (%v) directly, %+v (%v) by a walk", path, a, errA, b, errB)
			}
			if o.creates() {
				_ = os.Remove(filepath.Join(p.mnt.host, p.rel))
			}
			_, _ = quick.Close(t.Context()), slow.Close(t.Context())
		}
	}
	if direct < 30 {
		t.Errorf("only %d openings were direct", direct)
	}
}

// TestRoomOfWhatIsOpen counts a guest's open objects, with every kind of object.
func TestRoomOfWhatIsOpen(t *testing.T) {
	files := NewFiles(100)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	g, err := New(Config{Mounts: []Mount{{Host: t.TempDir(), Guest: "/"}}, Files: files, Listeners: []*net.TCPListener{l}, MaxDescriptors: 8})
	if err != nil {
		t.Fatal(err)
	}
	peer, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	ctx := t.Context()
	file, fileErr := g.Root().Open(ctx, "file", Read|Write|Create)
	dir, dirErr := g.Root().Open(ctx, ".", OnlyDirectory)
	conn, connErr := g.Listeners()[0].Accept(ctx, false)
	if err := errors.Join(fileErr, dirErr, connErr); err != nil {
		t.Fatal(err)
	}
	if g.room.open != 8 || files.Free() != 97 {
		t.Errorf("%d are open, and %d files are free", g.room.open, files.Free())
	}
	for range 2 {
		if _, err := g.Root().Open(ctx, "file", Read); !errors.Is(err, ErrTooManyOpen) {
			t.Errorf("one too many: %v", err)
		}
	}
	for _, o := range []Object{file, dir, conn, g.Stdin(), g.Stdout(), g.Stderr(), g.Listeners()[0], g.Root()} {
		if err := o.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	if g.room.open != 0 || files.Free() != 100 {
		t.Errorf("%d are open, and %d files are free after all were closed", g.room.open, files.Free())
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}
