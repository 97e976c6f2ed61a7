package volume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
)

// TestImage: a volume shows the image's folder, which the run names. The folder is read-only and
// does not change. A mount shows all or a part of it.
func TestImage(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	testfiles.Write(t, filepath.Join(dir, "d", "file"), "x")
	for link, to := range map[string]string{"in": "d", "up": "../..", "absolute": "/etc"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	v := newVolumes(t, &cluster{})
	pod := podWith(corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "x"}})
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	if locations := v.Locations(pod); len(locations) > 0 {
		t.Errorf("the image counts as the pod's: %+v", locations)
	}
	for sub, want := range map[string]string{
		"": "", "d": "d", "d/file": "d/file", "in/file": "d/file",
		"none": "no such file", "d/none": "no such file", "up": "escapes", "absolute/passwd": "escapes", "../x": "must not contain '..'",
	} {
		c := &corev1.Container{Name: "c", VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v", SubPath: sub}}}
		mounts, err := v.Mounts(Run{Container: c, Images: map[string]string{"v": dir}, Dir: t.TempDir()})
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%q: error %v, want %q", sub, err, want)
		case err != nil && errors.Is(err, ErrImageMount) == strings.HasPrefix(sub, ".."):
			t.Errorf("%q: of the wrong kind: %v", sub, err)
		case err == nil && mounts[0] != Mount{filepath.Join(dir, want), "/v", true}:
			t.Errorf("%q: %+v, want %s", sub, mounts[0], filepath.Join(dir, want))
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("a missing part was made in the image: %v", err)
	}
	if _, err := v.Mounts(Run{Container: &pod.Spec.Containers[0], Dir: t.TempDir()}); !errors.Is(err, ErrImageMount) {
		t.Errorf("a run that has no image for the volume: %v", err)
	}
	if _, err := v.Open("v", "d/file"); err == nil {
		t.Error("what only runs see was opened")
	}
}
