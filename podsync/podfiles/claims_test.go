package podfiles

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestRootOfAContainer: a container without volumes sees one directory of its own, which is empty
// except for /tmp.
//
// docs/security.md: "one directory, `/`, made for the container below `DATA/pods/UID`, mode 0700"
// docs/security.md: "No host file is in it but the pod's [volumes](volumes.md)."
func TestRootOfAContainer(t *testing.T) {
	data := t.TempDir()
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	d := dirsOf(data, pod)
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	_, mounts, err := d.MakeRun(t.Context(), &pod.Spec.Containers[0], 0, "")
	if err != nil || len(mounts) != 1 || mounts[0].Guest != "/" {
		t.Fatalf("mounts %+v, %v", mounts, err)
	}
	below, err := filepath.Rel(filepath.Join(data, "pods", string(pod.UID)), mounts[0].Host)
	if err != nil || !filepath.IsLocal(below) {
		t.Errorf("the root is at %s", mounts[0].Host)
	}
	if info, err := os.Lstat(mounts[0].Host); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("the root is %v, %v", info, err)
	}
	entries, err := os.ReadDir(mounts[0].Host)
	if err != nil || len(entries) != 1 || entries[0].Name() != "tmp" || !entries[0].IsDir() {
		t.Errorf("in the root there are %v, %v", entries, err)
	}
	if inside, err := os.ReadDir(filepath.Join(mounts[0].Host, "tmp")); err != nil || len(inside) != 0 {
		t.Errorf("in /tmp there are %v, %v", inside, err)
	}
}

// TestEnvironmentForTheNextAgent: a later agent gives probes and hooks the environment with which
// their container was started.
//
// docs/security.md: "what a container was started with, its environment included"
// docs/security.md: "probes and hooks run with it, also after the agent was restarted."
func TestEnvironmentForTheNextAgent(t *testing.T) {
	data := t.TempDir()
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	d := dirsOf(data, pod)
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	env := []string{"PASSWORD=secret"}
	if err := d.KeepSpec("a", runtime.Spec{ID: "run", Env: env}); err != nil {
		t.Fatal(err)
	}
	spec, err := dirsOf(data, pod).Spec("a", "run")
	if err != nil || !slices.Equal(spec.Env, env) {
		t.Errorf("%+v, %v", spec, err)
	}
	file := filepath.Join(data, "notes", string(pod.UID), "runs", "a.json")
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "secret") {
		t.Errorf("the environment is not in %s: %v", file, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", file, info, err)
	}
}
