package controlplane

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, path string) *workdir {
	t.Helper()
	w, err := openWorkdir(path)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fill makes some of the files that a cluster makes.
func fill(t *testing.T, w *workdir) {
	t.Helper()
	for _, name := range []string{"pki", "etcd"} {
		if err := os.Mkdir(w.join(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{adminKubeconfig, "etcd.log", "etcd.pid"} {
		if err := w.write(name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "none"
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func TestWorkdirRemovesWhatItMade(t *testing.T) {
	for _, test := range []struct {
		name        string
		there, keep bool
		want        string
	}{
		{"folder made", false, false, "none"},
		{"folder made, logs kept", false, true, "cluster.lock etcd.log"},
		{"folder there", true, false, "mine"},
		{"folder there, logs kept", true, true, "cluster.lock etcd.log mine"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "dir")
			if test.there {
				if err := os.MkdirAll(filepath.Join(dir, "mine"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			w := open(t, dir)
			fill(t, w)
			if err := w.close(test.keep); err != nil {
				t.Fatal(err)
			}
			if got := files(t, dir); got != test.want {
				t.Errorf("left are %q, want %q", got, test.want)
			}
			// The next cluster can use the folder, whatever files were left.
			next := open(t, dir)
			fill(t, next)
			if err := next.close(false); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestWorkdirIsLocked(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir)
	fill(t, w)
	if _, err := openWorkdir(dir); err == nil || !strings.Contains(err.Error(), "in use by another cluster") {
		t.Errorf("a second cluster in the folder: %v", err)
	}
	if _, err := os.Stat(w.join(adminKubeconfig)); err != nil {
		t.Errorf("the refused cluster harmed the first: %v", err)
	}
	// After a kill the lock is released, but the files stay. The next cluster removes them.
	w.release()
	next := open(t, dir)
	if got := files(t, dir); got != lockName {
		t.Errorf("the next cluster starts with %q", got)
	}
	if err := next.close(false); err != nil {
		t.Fatal(err)
	}
}

func TestWorkdirLeavesFilesOfOthersAlone(t *testing.T) {
	for _, name := range ownNames() {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := openWorkdir(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("with a foreign %s: %v", name, err)
		}
		if got := files(t, dir); got != name {
			t.Errorf("a refused folder has %q, want %q", got, name)
		}
	}
}

func TestPKIKeysAreTheOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	if err := makePKI(dir); err != nil {
		t.Fatal(err)
	}
	keys := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".key") {
			return err
		}
		keys++
		info, err := entry.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || keys == 0 {
		t.Errorf("%d keys, %v", keys, err)
	}
}
