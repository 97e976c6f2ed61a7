package volume

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestReplaceIsAtomic: a reader that follows the link sees only files that were written together.
func TestReplaceIsAtomic(t *testing.T) {
	dir := t.TempDir()
	generation := func(n int) content {
		text := []byte(fmt.Sprint(n))
		return content{"a": {text, 0o644}, "deep/b": {text, 0o644}}
	}
	if err := replace(dir, generation(0)); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var readers sync.WaitGroup
	read := 0
	readers.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			root, err := os.OpenRoot(filepath.Join(dir, dataLink))
			if err != nil {
				if _, err := os.Lstat(filepath.Join(dir, dataLink)); err != nil {
					t.Errorf("for a moment there is no link: %v", err)
				}
				continue // the files were removed after the link was read
			}
			a, errA := root.ReadFile("a")
			b, errB := root.ReadFile("deep/b")
			root.Close()
			if errA != nil || errB != nil {
				continue // both were removed after that
			}
			if read++; string(a) != string(b) {
				t.Errorf("a is of generation %s, b of %s", a, b)
			}
		}
	})
	for n := range 300 {
		if err := replace(dir, generation(n)); err != nil {
			t.Fatal(err)
		}
	}
	close(over)
	readers.Wait()
	if read == 0 {
		t.Error("nothing was read meanwhile")
	}
	if text, err := os.ReadFile(filepath.Join(dir, "deep", "b")); string(text) != "299" {
		t.Errorf("%q %v", text, err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 4 { // the files, ..data, a, deep
		t.Errorf("left: %v", entries)
	}
}

// TestReplaceGoesOn: if an agent ended in the middle of replace, the next replace repairs the
// volume.
func TestReplaceGoesOn(t *testing.T) {
	dir := t.TempDir()
	want := content{"a": {[]byte("A"), 0o600}, "d/b": {[]byte("B"), 0o400}}
	if err := replace(dir, want); err != nil {
		t.Fatal(err)
	}
	for name, harm := range map[string]func() error{
		"nothing":      func() error { return nil },
		"no names":     func() error { return os.Remove(filepath.Join(dir, "a")) },
		"no link":      func() error { return os.Remove(filepath.Join(dir, dataLink)) },
		"half a swap":  func() error { return os.Symlink("nowhere", filepath.Join(dir, dataLinkNew)) },
		"old files":    func() error { return os.MkdirAll(filepath.Join(dir, "..2001_01_01_00_00_00.1", "x"), 0o755) },
		"another mode": func() error { return os.Chmod(filepath.Join(dir, "a"), 0o644) },
		"another file": func() error { return os.WriteFile(filepath.Join(dir, dataLink, "c"), nil, 0o600) },
	} {
		if err := harm(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// No link leads to them, and the next change removes them.
		if name == "old files" || name == "half a swap" {
			if err := replace(dir, content{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := replace(dir, want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for path, f := range want {
			text, err := os.ReadFile(filepath.Join(dir, path))
			info, _ := os.Stat(filepath.Join(dir, path))
			if err != nil || string(text) != string(f.data) || info.Mode() != f.mode {
				t.Errorf("%s: %s holds %q %v %v", name, path, text, info, err)
			}
		}
		var names []string
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if len(names) != 4 || !strings.HasPrefix(names[0], "..2") || names[1] != dataLink || entries[2].Type() != fs.ModeSymlink {
			t.Errorf("%s: the volume holds %v", name, names)
		}
	}
}
