package volume

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// secretPod is a pod that mounts a secret, and one of its files.
func secretPod() (*corev1.Pod, *corev1.Container) {
	pod := podWith(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}})
	c := &pod.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "v", MountPath: "/part", SubPath: "k"})
	return pod, c
}

func setUp(t *testing.T, v *Volumes, pod *corev1.Pod) {
	t.Helper()
	if failed := v.SetUp(t.Context(), pod); len(failed) > 0 {
		t.Fatal(failed)
	}
}

// TestSecretsInMemory: no part of a secret is on disk, even if only a part is mounted, or another
// agent has taken over.
func TestSecretsInMemory(t *testing.T) {
	mayMount(t)
	c := &cluster{secrets: map[string]map[string][]byte{"s": {"k": []byte("hush")}}}
	v := newVolumes(t, c)
	pod, container := secretPod()
	setUp(t, v, pod)
	run := Run{Container: container, Dir: filepath.Join(t.TempDir(), "parts")}
	mounts, err := v.Mounts(run)
	if err != nil {
		t.Fatal(err)
	}
	v = New(v.Config)
	setUp(t, v, pod)
	c.secrets["s"]["k"] = []byte("hush hush")
	if err := v.Refresh(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if got := files(t, mounts[0].Host); got["k"] != "-rw-r--r-- hush hush" || len(got) != 1 {
		t.Errorf("the volume holds %q", got)
	}
	if text, err := os.ReadFile(mounts[1].Host); string(text) != "hush" {
		t.Errorf("the part is %q %v", text, err)
	}
	at := filepath.Join(v.Dir, "v")
	for _, m := range mounts {
		if !strings.HasPrefix(m.Host, at) {
			t.Errorf("%s is not in the volume", m.Host)
		}
	}
	if on, err := isMount(at); err != nil || !on {
		t.Errorf("the volume is not in memory: %v", err)
	}
	// The next run of the container gets the present content.
	if mounts, err = v.Mounts(run); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(mounts[1].Host); string(text) != "hush hush" {
		t.Errorf("the next run's part is %q %v", text, err)
	}
	if err := Remove(t.Context(), v.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(v.Dir); !os.IsNotExist(err) {
		t.Errorf("left on disk: %v", err)
	}
}

// TestSecretsStayOnDisk: if an agent that could not mount made a volume on disk, the volume stays
// there.
func TestSecretsStayOnDisk(t *testing.T) {
	v := newVolumes(t, &cluster{secrets: map[string]map[string][]byte{"s": {"k": []byte("hush")}}})
	pod, container := secretPod()
	at := filepath.Join(v.Dir, "v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := replace(at, content{"k": {[]byte("old"), 0o644}}); err != nil {
		t.Fatal(err)
	}
	setUp(t, v, pod)
	mounts, err := v.Mounts(Run{Container: container, Dir: filepath.Join(filepath.Dir(v.Dir), "parts")})
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, at); got["k"] != "-rw-r--r-- hush" || mounts[0].Host != at {
		t.Errorf("%s: %q", mounts[0].Host, got)
	}
}

// TestConfigMapsOnDisk: a ConfigMap is on disk, because it is not secret.
func TestConfigMapsOnDisk(t *testing.T) {
	v := newVolumes(t, &cluster{configMaps: map[string]map[string]string{"c": {"k": "v"}}})
	setUp(t, v, podWith(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("c")}}))
	if on, err := isMount(filepath.Join(v.Dir, "v")); err != nil || on {
		t.Errorf("in memory: %v, %v", on, err)
	}
}
