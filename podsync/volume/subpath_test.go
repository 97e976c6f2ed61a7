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

// docs/security.md: "A part of a volume (`subPath`) is opened the same way, so that links which a
// guest makes in a volume lead nowhere else."
func TestSubPath(t *testing.T) {
	v := newVolumes(t, &cluster{})
	pod := podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	dir := v.made["v"].host
	testfiles.Write(t, filepath.Join(dir, "d", "file"), "x")
	for link, to := range map[string]string{
		"in": "d", "in-file": "d/file", "d/up": "../d/../d", "up": "../..", "absolute": "/etc", "loop": "loop", "inside": dir + "/d", "dangling": "none", "over": "d/../../v/d",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for sub, want := range map[string]string{
		"": "", "d": "d", "d/file": "d/file", "in": "d", "in-file": "d/file", "d/up": "d", "in/up/up/file": "d/file", "new/deep": "new/deep", "in/new": "d/new",
		"../v": "must not contain '..'", "d/../../x": "must not contain '..'", "/d": "must not be an absolute path",
		"up": "escapes", "absolute": "escapes", "absolute/passwd": "escapes", "inside": "escapes", "loop": "too many", "over": "escapes", "up/x/y": "escapes",
		"dangling": "file exists", "d/file/x": "not a directory", "$(PART)": "d", "$(NONE)": `missing value for "NONE"`,
	} {
		asked := corev1.VolumeMount{Name: "v", MountPath: "v/", SubPath: sub}
		if strings.Contains(sub, "$") {
			asked.SubPath, asked.SubPathExpr = "", sub
		}
		c := &corev1.Container{Name: "c", VolumeMounts: []corev1.VolumeMount{asked}}
		mounts, err := v.Mounts(Run{Container: c, Dir: filepath.Join(t.TempDir(), "parts"), Expand: func(expr string) (string, error) {
			if expr == "$(PART)" {
				return "d", nil
			}
			return "", errors.New(`missing value for "NONE"`)
		}})
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%q: error %v, want %q", sub, err, want)
		case err == nil && (mounts[0].Host != filepath.Join(dir, want) || mounts[0].Guest != "/v" || mounts[0].ReadOnly):
			t.Errorf("%q: %+v, want %s", sub, mounts[0], filepath.Join(dir, want))
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a link that leads nowhere was made to lead somewhere")
	}
}

// TestPartOfContent: a part does not change while the run goes on, even if the volume's files are
// replaced.
func TestPartOfContent(t *testing.T) {
	c := &cluster{configMaps: map[string]map[string]string{"c": {"k": "before"}}}
	v := newVolumes(t, c)
	pod := podWith(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("c"), Items: []corev1.KeyToPath{{Key: "k", Path: "d/k"}}}})
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
	container := &corev1.Container{Name: "c", VolumeMounts: []corev1.VolumeMount{
		{Name: "v", MountPath: "/d", SubPath: "d"}, {Name: "v", MountPath: "/k", SubPath: "d/k"}, {Name: "v", MountPath: "/none", SubPath: "none"},
	}}
	mounts, err := v.Mounts(Run{Container: container, Dir: filepath.Join(t.TempDir(), "parts")})
	if err != nil {
		t.Fatal(err)
	}
	c.configMaps["c"]["k"] = "after"
	if err := v.Refresh(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(mounts[0].Host, "k"), mounts[1].Host} {
		if text, err := os.ReadFile(path); string(text) != "before" {
			t.Errorf("%s holds %q %v", path, text, err)
		}
	}
	if entries, err := os.ReadDir(mounts[2].Host); err != nil || len(entries) > 0 {
		t.Errorf("a part that is not there holds %v %v", entries, err)
	}
	for _, m := range mounts {
		if !m.ReadOnly {
			t.Errorf("%+v may be written", m)
		}
	}
}
