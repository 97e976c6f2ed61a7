package podfiles

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// dirsOf are a pod's folders below dataDir.
func dirsOf(dataDir string, pod *corev1.Pod) Pod {
	return Layout{Data: dataDir, Logs: filepath.Join(dataDir, "logs")}.Of(pod)
}

func TestRunDirs(t *testing.T) {
	d := dirsOf(t.TempDir(), testpod.New(corev1.RestartPolicyAlways, "a"))
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	if got := d.LastAttempt("a"); got != -1 {
		t.Errorf("before the first run the last attempt is %d", got)
	}
	const rotated = ".20260102-030405"
	for attempt := range int32(4) {
		log, mounts, err := d.MakeRun(t.Context(), &corev1.Container{Name: "a"}, attempt, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(mounts) != 1 || mounts[0].Guest != "/" || mounts[0].ReadOnly || !testfiles.Exists(filepath.Join(mounts[0].Host, "tmp")) {
			t.Fatalf("mounts %+v", mounts)
		}
		left := filepath.Join(mounts[0].Host, "left")
		if testfiles.Exists(left) {
			t.Error("a run sees files of the run before")
		}
		testfiles.Write(t, left, "")
		testfiles.Write(t, log, "")
		testfiles.Write(t, log+rotated, "")
		if got := d.LastAttempt("a"); got != attempt {
			t.Errorf("last attempt %d, want %d", got, attempt)
		}
	}
	for attempt, want := range []bool{false, false, true, true} {
		for _, file := range []string{d.Log("a", int32(attempt)), d.Log("a", int32(attempt)) + rotated} {
			if testfiles.Exists(file) != want {
				t.Errorf("%s is there: %v, want %v", file, !want, want)
			}
		}
	}
	testfiles.Write(t, d.Log("a", 4)+rotated, "")
	testfiles.Write(t, filepath.Join(filepath.Dir(d.Log("a", 0)), "9.logs"), "")
	if got := d.LastAttempt("a"); got != 4 {
		t.Errorf("last attempt %d, want that of the rotated log, 4", got)
	}
	yes := true
	if _, mounts, err := d.MakeRun(t.Context(), &corev1.Container{Name: "a", SecurityContext: &corev1.SecurityContext{ReadOnlyRootFilesystem: &yes}}, 4, ""); err != nil || !mounts[0].ReadOnly {
		t.Errorf("readOnlyRootFilesystem: %+v %v", mounts, err)
	}
	if info, err := os.Stat(d.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the pod's folder: %v %v", info, err)
	}
	if err := d.Remove(t.Context()); err != nil || testfiles.Exists(d.Dir) || testfiles.Exists(d.logs) {
		t.Errorf("folders are left after removal (%v)", err)
	}
}

func TestOrphansAreRemoved(t *testing.T) {
	data, logs, links := t.TempDir(), t.TempDir(), logLinks{t.TempDir()}
	for _, path := range []string{"here", "gone", "bare"} {
		testfiles.Write(t, filepath.Join(podsDir(data), path, "x"), "")
	}
	want := map[string]bool{
		"ns_a_here": true, "ns_b_gone": false, "ns_c_stranger": true, "x_gone": true, "a_b_c_gone": true, "gone": true,
	}
	for dir := range want {
		testfiles.Write(t, filepath.Join(logs, dir, "c", "0.log"), "")
		if err := os.Symlink(filepath.Join(logs, dir, "c", "0.log"), filepath.Join(links.dir, dir+".log")); err != nil {
			t.Fatal(err)
		}
	}
	at := Layout{data, logs, links.dir}
	if err := at.RemoveOrphans(t.Context(), func(uid types.UID) bool { return uid == "here" }); err != nil {
		t.Fatal(err)
	}
	for dir, stays := range want {
		_, err := os.Lstat(filepath.Join(links.dir, dir+".log"))
		if linked := err == nil; testfiles.Exists(filepath.Join(logs, dir)) != stays || linked != stays {
			t.Errorf("%s is there: %t, its link: %t; want %t", dir, testfiles.Exists(filepath.Join(logs, dir)), linked, stays)
		}
	}
	for uid, stays := range map[string]bool{"here": true, "gone": false, "bare": false} {
		if testfiles.Exists(filepath.Join(podsDir(data), uid)) != stays {
			t.Errorf("the folder of pod %s is there: %t, want %t", uid, !stays, stays)
		}
	}
	fresh := Layout{Data: t.TempDir(), Logs: filepath.Join(data, "no-logs")}
	if err := fresh.RemoveOrphans(t.Context(), func(types.UID) bool { return false }); err != nil {
		t.Errorf("a new data directory: %v", err)
	}
}
