package podsync

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestRunDirs(t *testing.T) {
	d := dirsOf(t.TempDir(), testPod(corev1.RestartPolicyAlways, "a"))
	if err := d.make(); err != nil {
		t.Fatal(err)
	}
	if got := d.lastAttempt("a"); got != -1 {
		t.Errorf("before the first run the last attempt is %d", got)
	}
	const rotated = ".20260102-030405"
	for attempt := range int32(4) {
		log, mounts, err := d.makeRun(t.Context(), &corev1.Container{Name: "a"}, attempt, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(mounts) != 1 || mounts[0].Guest != "/" || mounts[0].ReadOnly || !exists(filepath.Join(mounts[0].Host, "tmp")) {
			t.Fatalf("mounts %+v", mounts)
		}
		left := filepath.Join(mounts[0].Host, "left")
		if exists(left) {
			t.Error("a run sees files of the run before")
		}
		write(t, left)
		write(t, log)
		write(t, log+rotated)
		if got := d.lastAttempt("a"); got != attempt {
			t.Errorf("last attempt %d, want %d", got, attempt)
		}
	}
	for attempt, want := range []bool{false, false, true, true} {
		for _, file := range []string{d.log("a", int32(attempt)), d.log("a", int32(attempt)) + rotated} {
			if exists(file) != want {
				t.Errorf("%s is there: %v, want %v", file, !want, want)
			}
		}
	}
	write(t, d.log("a", 4)+rotated)
	write(t, filepath.Join(filepath.Dir(d.log("a", 0)), "9.logs"))
	if got := d.lastAttempt("a"); got != 4 {
		t.Errorf("last attempt %d, want that of the rotated log, 4", got)
	}
	yes := true
	if _, mounts, err := d.makeRun(t.Context(), &corev1.Container{Name: "a", SecurityContext: &corev1.SecurityContext{ReadOnlyRootFilesystem: &yes}}, 4, nil); err != nil || !mounts[0].ReadOnly {
		t.Errorf("readOnlyRootFilesystem: %+v %v", mounts, err)
	}
	if info, err := os.Stat(d.pod); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the pod's folder: %v %v", info, err)
	}
	if err := d.remove(); err != nil || exists(d.pod) || exists(d.logs) {
		t.Errorf("folders are left after removal (%v)", err)
	}
}

func TestOrphansAreRemoved(t *testing.T) {
	data := t.TempDir()
	for _, path := range []string{"pods/here/x", "pods/gone/x", "logs/ns_a_here/x", "logs/ns_b_gone/x"} {
		write(t, filepath.Join(data, path))
	}
	if err := removeOrphans(data, func(uid types.UID) bool { return uid == "here" }); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"pods/here": true, "pods/gone": false, "logs/ns_a_here": true, "logs/ns_b_gone": false} {
		if exists(filepath.Join(data, path)) != want {
			t.Errorf("%s is there: %v, want %v", path, !want, want)
		}
	}
	if err := removeOrphans(t.TempDir(), func(types.UID) bool { return false }); err != nil {
		t.Errorf("a new data directory: %v", err)
	}
}
