package volume

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// TestOpen: a guest cannot make a volume in which a reader reads files of the host, or in which a
// reader blocks.
func TestOpen(t *testing.T) {
	v := newVolumes(t, &cluster{})
	pod := podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	dir, secret := filepath.Join(v.Dir, "v"), filepath.Join(t.TempDir(), "secret")
	for path, text := range map[string]string{filepath.Join(dir, "env"): "mine", secret: "hush"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"inside": "env", "outside": secret, "above": "../../secret"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"env", "inside"} {
		f, err := v.Open("v", path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil || string(text) != "mine" {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	for _, path := range []string{"outside", "above", "pipe", ".", "/etc/hostname", "../v/env"} {
		if _, err := v.Open("v", path); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
	if _, err := v.Open("v", "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := v.Open("w", "env"); err == nil {
		t.Error("a volume that is not there was opened")
	}
}
