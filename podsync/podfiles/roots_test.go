package podfiles

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// imageRoot is a root filesystem as in a store of images. It has a link where containers expect a
// folder.
func imageRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "motd"), []byte("image"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// mountsBelow are the mount points below a folder.
func mountsBelow(t *testing.T, dir string) []string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(table)) {
		if at := strings.Fields(line)[4]; strings.HasPrefix(at, dir) {
			found = append(found, at)
		}
	}
	return found
}

func TestRootOfImage(t *testing.T) {
	data, image := t.TempDir(), imageRoot(t)
	d := dirsOf(data, testpod.New(corev1.RestartPolicyAlways, "a"))
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c := &corev1.Container{Name: "a"}
	for attempt := range int32(3) {
		_, mounts, err := d.MakeRun(t.Context(), c, attempt, image)
		if err != nil {
			t.Fatal(err)
		}
		if len(mounts) != 1 || mounts[0].Guest != "/" || mounts[0].ReadOnly || mounts[0].Host == image {
			t.Fatalf("mounts %+v", mounts)
		}
		motd := filepath.Join(mounts[0].Host, "motd")
		if text, err := os.ReadFile(motd); string(text) != "image" {
			t.Errorf("run %d finds %q, %v", attempt, text, err)
		}
		if target, err := os.Readlink(filepath.Join(mounts[0].Host, "tmp")); err != nil || target == "" {
			t.Errorf("/tmp of the image: %q, %v", target, err)
		}
		if err := os.WriteFile(motd, []byte("run"), 0o600); err != nil {
			t.Fatal(err)
		}
		if n := len(mountsBelow(t, d.Dir)); n > 1 {
			t.Errorf("run %d: %d mounts", attempt, n)
		}
	}
	if text, err := os.ReadFile(filepath.Join(image, "motd")); string(text) != "image" {
		t.Errorf("the image has %q, %v", text, err)
	}
	yes := true
	c.SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: &yes}
	if _, mounts, err := d.MakeRun(t.Context(), c, 3, image); err != nil || mounts[0].Host != image || !mounts[0].ReadOnly {
		t.Errorf("readOnlyRootFilesystem: %+v, %v", mounts, err)
	}
	if found := mountsBelow(t, d.Dir); len(found) > 0 {
		t.Errorf("mounted: %v", found)
	}
}

// TestRootsGo: the root directories of a pod are removed when the pod has ended, when it is
// deleted, and when the agent does not know it any more. The image stays.
func TestRootsGo(t *testing.T) {
	image := imageRoot(t)
	for name, clear := range map[string]func(d Pod, data string, pod *corev1.Pod) error{
		"ended":   func(d Pod, _ string, pod *corev1.Pod) error { return d.ClearRoots(t.Context(), pod) },
		"removed": func(d Pod, _ string, _ *corev1.Pod) error { return d.Remove(t.Context()) },
		"orphan": func(_ Pod, data string, _ *corev1.Pod) error {
			return Layout{Data: data, Logs: filepath.Join(data, "logs")}.RemoveOrphans(t.Context(), func(types.UID) bool { return false })
		},
	} {
		data, pod := t.TempDir(), testpod.New(corev1.RestartPolicyAlways, "a", "b")
		d := dirsOf(data, pod)
		if err := d.Make(); err != nil {
			t.Fatal(err)
		}
		for i, root := range []string{image, ""} {
			_, mounts, err := d.MakeRun(t.Context(), &pod.Spec.Containers[i], 0, root)
			if err != nil {
				t.Fatal(err)
			}
			testfiles.Write(t, filepath.Join(mounts[0].Host, "left"), "")
			testfiles.Write(t, d.TerminationLog(pod.Spec.Containers[i].Name), "")
		}
		if err := clear(d, data, pod); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if found := mountsBelow(t, data); len(found) > 0 {
			t.Errorf("%s: mounted: %v", name, found)
		}
		for _, folder := range []string{"root", "upper", "work"} {
			for _, c := range []string{"a", "b"} {
				if at := filepath.Join(d.Container(c), folder); testfiles.Exists(at) {
					t.Errorf("%s: %s is left", name, at)
				}
			}
		}
		if kept := testfiles.Exists(d.TerminationLog("a")); kept != (name == "ended") {
			t.Errorf("%s: the termination log is there: %v", name, kept)
		}
		if !testfiles.Exists(filepath.Join(image, "motd")) {
			t.Fatalf("%s: the image's file is gone", name)
		}
	}
}
