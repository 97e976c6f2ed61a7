package wasi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
)

// treeMounts are mounts of which one lies in another one, and one is a file.
func treeMounts(t testing.TB) (list []Mount, root string) {
	t.Helper()
	root, inner := t.TempDir(), t.TempDir()
	testfiles.Write(t, filepath.Join(root, "outer"), "outer")
	testfiles.Write(t, filepath.Join(inner, "file"), "inner")
	if err := os.Symlink("etc", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	return []Mount{
		{Host: inner, Guest: "/link/inner", ReadOnly: true}, {Host: root, Guest: "/"}, {Host: filepath.Join(inner, "file"), Guest: "/single"},
	}, root
}

// TestTree has many guests share a Tree, each with files of its own.
func TestTree(t *testing.T) {
	mounts, root := treeMounts(t)
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	tree, err := NewTree(mounts, "/srv/here")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(root, "srv/here")); err != nil || !info.IsDir() {
		t.Errorf("the working directory was not made: %v", err)
	}
	var guests sync.WaitGroup
	for i := range 8 {
		guests.Go(func() { useTree(t, tree, i) })
	}
	guests.Wait()
}

func useTree(t *testing.T, tree *Tree, i int) {
	g, err := New(Config{Tree: tree, WorkDir: "/srv/here", Confined: true})
	if err != nil {
		t.Error(err)
		return
	}
	for path, want := range map[string]string{"outer": "outer", "link/inner/file": "inner", "etc/inner/file": "inner", "single": "inner"} {
		if got, err := readAll(t, g, path); got != want || err != nil {
			t.Errorf("%s has %q, %v", path, got, err)
		}
	}
	own := fmt.Sprint("srv/here/", i)
	f, err := g.Root().Open(t.Context(), own, Read|Write|Create)
	if err != nil {
		t.Errorf("opening %s: %v", own, err)
	} else if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := g.Root().Open(t.Context(), "etc/inner/new", Read|Write|Create); ErrorOf(err) != ErrReadOnly {
		t.Errorf("a file of a mount that is only read: %v", err)
	}
	if err := errors.Join(g.CloseInitial(), g.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
}

func readAll(t *testing.T, g *Guest, path string) (string, error) {
	o, err := g.Root().Open(t.Context(), path, Read)
	if err != nil {
		return "", err
	}
	var b [16]byte
	n, err := o.(*File).ReadAt(t.Context(), [][]byte{b[:]}, 0)
	return string(b[:n]), errors.Join(err, o.Close(t.Context()))
}

// TestTreeLink does not follow a link that takes the place of a mount's directory later.
func TestTreeLink(t *testing.T) {
	mounts, _ := treeMounts(t)
	inner := mounts[0].Host
	tree, err := NewTree(mounts, "")
	if err != nil {
		t.Fatal(err)
	}
	secret := t.TempDir()
	testfiles.Write(t, filepath.Join(secret, "file"), "secret")
	if err := errors.Join(os.RemoveAll(inner), os.Symlink(secret, inner)); err != nil {
		t.Fatal(err)
	}
	g := newTestGuest(t, Config{Tree: tree})
	for _, path := range []string{"link/inner/file", "single"} {
		if got, err := readAll(t, g, path); err == nil {
			t.Errorf("%s leads to a place that was not mounted, with %q", path, got)
		}
	}
}

// TestTreeRefused makes no Tree of what is no file system.
func TestTreeRefused(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "")
	for what, mounts := range map[string][]Mount{
		"no root":       {{Host: dir, Guest: "/a"}},
		"a file":        {{Host: filepath.Join(dir, "file"), Guest: "/"}},
		"nothing":       {{Host: filepath.Join(dir, "none"), Guest: "/"}},
		"two at a path": {{Host: dir, Guest: "/"}, {Host: dir, Guest: "/"}},
	} {
		if tree, err := NewTree(mounts, ""); err == nil || tree != nil {
			t.Errorf("%s: a tree was made", what)
		}
	}
	if _, err := NewTree([]Mount{{Host: dir, Guest: "/"}}, "/file/work"); err == nil {
		t.Error("a working directory below a file was made")
	}
}

// BenchmarkNew is a guest with the mounts that a pod has, made and closed again.
func BenchmarkNew(b *testing.B) {
	mounts, _ := treeMounts(b)
	for i := range 4 {
		mounts = append(mounts, Mount{Host: b.TempDir(), Guest: fmt.Sprint("/var/run/", i), ReadOnly: true})
	}
	tree, err := NewTree(mounts, "/work")
	if err != nil {
		b.Fatal(err)
	}
	for name, cfg := range map[string]Config{"mounts": {Mounts: mounts, WorkDir: "/work"}, "tree": {Tree: tree, WorkDir: "/work"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g, err := New(cfg)
				if err != nil {
					b.Fatal(err)
				}
				if err := errors.Join(g.CloseInitial(), g.Close()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
