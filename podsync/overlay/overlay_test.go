package overlay

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var stamp = time.Unix(1_600_000_000, 0)

// image is a root filesystem with one file of each kind.
func image(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.MkdirAll(at("d/empty"), 0o755), os.WriteFile(at("d/file"), []byte("image"), 0o644), os.WriteFile(at("script"), []byte("#!"), 0o755),
		os.Chmod(at("script"), 0o755), os.Link(at("d/file"), at("again")), os.Symlink("/d/file", at("link")), os.Symlink("/etc", at("etc")),
		os.Chtimes(at("script"), stamp, stamp), os.Chtimes(at("d"), stamp, stamp),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// checkOwn checks that root has the files of the image, and that changes in root do not change the
// image.
func checkOwn(t *testing.T, root, image string) {
	t.Helper()
	for name, want := range map[string]string{"d/file": "image", "again": "image", "script": "#!"} {
		if got, err := os.ReadFile(filepath.Join(root, name)); string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"link": "/d/file", "etc": "/etc"} {
		if got, err := os.Readlink(filepath.Join(root, name)); got != want {
			t.Errorf("%s leads to %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(filepath.Join(root, "script")); err != nil || info.Mode() != 0o755 || !info.ModTime().Equal(stamp) {
		t.Errorf("script: %v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(root, "d")); err != nil || !info.ModTime().Equal(stamp) {
		t.Errorf("d: %v, %v", info, err)
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(root, "d/file"), []byte("mine"), 0o600), os.Remove(filepath.Join(root, "script")),
		os.RemoveAll(filepath.Join(root, "d/empty")), os.Mkdir(filepath.Join(root, "new"), 0o700), os.WriteFile(filepath.Join(root, "new/x"), nil, 0o600),
		os.Rename(filepath.Join(root, "d"), filepath.Join(root, "new/d")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(root, "new/d/file")); string(got) != "mine" {
		t.Errorf("the file in the directory that was moved holds %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(image, "d/file")); string(got) != "image" {
		t.Errorf("the image's file holds %q, %v", got, err)
	}
	for name, there := range map[string]bool{"script": true, "d/empty": true, "new": false} {
		if _, err := os.Stat(filepath.Join(image, name)); (err == nil) != there {
			t.Errorf("the image's %s: %v", name, err)
		}
	}
}

// docs/security.md: "a container writes to an overlay or a copy, never to the image."
func TestMake(t *testing.T) {
	from := image(t)
	dir := t.TempDir()
	root, err := Make(t.Context(), dir, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	checkOwn(t, root, from)
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil {
		t.Fatal(err)
	}
	mounted := fs.Type == unix.OVERLAYFS_SUPER_MAGIC
	if _, err := os.Stat(filepath.Join(dir, upperFolder)); (err == nil) != mounted {
		t.Errorf("an overlay: %v; its folder: %v", mounted, err)
	}
	t.Logf("an overlay: %v", mounted)
}

// TestMakeCopies: Make copies if an overlay is impossible. Here the path cannot be an option of a
// mount.
//
// docs/security.md: "a container writes to an overlay or a copy, never to the image."
func TestMakeCopies(t *testing.T) {
	from := image(t)
	dir := filepath.Join(t.TempDir(), "a:b,c")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := Make(t.Context(), dir, from)
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.Stat(filepath.Join(root, "again"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Stat(filepath.Join(root, "d/file"))
	if err != nil || !os.SameFile(file, again) {
		t.Errorf("a file of two names has become two: %v", err)
	}
	checkOwn(t, root, from)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the copy: %v, %v", entries, err)
	}
}

func TestCopyIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := copyTree(ctx, image(t), t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestMountableSaysWhatIs(t *testing.T) {
	upper := t.TempDir()
	able := mountable(upper)
	if entries, err := os.ReadDir(upper); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	// CAP_SYS_ADMIN is bit 21 of the effective set. Without it there is no overlay.
	_, effective, _ := strings.Cut(string(status), "CapEff:\t")
	if able && len(effective) >= 16 && !strings.ContainsAny(effective[10:11], "2367abefABEF") {
		t.Errorf("an overlay is thought to work with the capabilities %.16s", effective)
	}
}
