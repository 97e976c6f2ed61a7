package podfiles

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestNotesAreNotBelowPods: shared workers can write everything below pods/. All notes of a pod are
// elsewhere. Only the agent's user can read them, and they are removed with the pod.
//
// docs/security.md: "what a container was started with, its environment included, is in
// `DATA/notes/UID/runs/NAME.json`, mode 0600, for as long as the pod is there"
func TestNotesAreNotBelowPods(t *testing.T) {
	data := t.TempDir()
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	d := dirsOf(data, pod)
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	note(t, d)
	for _, file := range noteFiles(d) {
		if in, err := filepath.Rel(filepath.Join(data, "notes", string(pod.UID)), file); err != nil || !filepath.IsLocal(in) {
			t.Errorf("%s is not in the pod's folder of notes", file)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if info, err := os.Stat(d.notes); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of notes: %v, %v", info, err)
	}
	if _, _, err := d.MakeRun(t.Context(), &corev1.Container{Name: "a"}, 1, ""); err != nil {
		t.Fatal(err)
	}
	for file, stays := range map[string]bool{d.specFile("a"): false, d.shownFile("a"): false, d.spentFile("a"): true} {
		if testfiles.Exists(file) != stays {
			t.Errorf("as the next run is made, %s is there: %t", file, !stays)
		}
	}
	if err := d.Remove(t.Context()); err != nil || testfiles.Exists(d.notes) {
		t.Errorf("after the pod was removed its notes are there: %t, %v", testfiles.Exists(d.notes), err)
	}
}

// TestNotesOfEarlierAgents: earlier agents had their notes in the pods' folders. Their pods
// continue. A file that a worker writes there later does not count as a note.
func TestNotesOfEarlierAgents(t *testing.T) {
	data := t.TempDir()
	now := dirsOf(data, testpod.New(corev1.RestartPolicyAlways, "a"))
	old := filepath.Join(podsDir(data), filepath.Base(now.notes))
	note(t, now)
	for from, to := range map[string]string{
		now.HandlerFile():   filepath.Join(old, "handler"),
		now.addressesFile(): filepath.Join(old, "addresses"),
		now.specFile("a"):   filepath.Join(old, "containers", "a", "run.json"),
		now.shownFile("a"):  filepath.Join(old, "containers", "a", "images"),
		now.spentFile("a"):  filepath.Join(old, "spent", "a"),
	} {
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(notesDir(data)); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(path string) error{
		"link": func(p string) error { return os.Symlink(old, p) },
		"pipe": func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"file": func(p string) error { return os.WriteFile(p, nil, 0o600) },
	} {
		if err := plant(filepath.Join(podsDir(data), name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ImagesOnDisk(data); err == nil {
		t.Error("before an agent has moved the notes, no image is said to be in use")
	}
	if err := AdoptNotes(data); err != nil {
		t.Fatal(err)
	}
	checkNotes(t, now)
	if used, err := ImagesOnDisk(data); err != nil || !reflect.DeepEqual(used, []string{"shown", "image"}) {
		t.Errorf("images in use: %q, %v", used, err)
	}

	if err := os.Remove(now.HandlerFile()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, "handler"), []byte("wasmtime"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := AdoptNotes(data); err != nil {
		t.Fatal(err)
	}
	if handler, err := now.Handler(); handler != "" || err != nil {
		t.Errorf("what a worker wrote is taken for a note: %q, %v", handler, err)
	}
}

// TestNotesOfEarlierAgentsBesideHostileFolders: a shared worker could write to the folders of all
// its pods. The files that it left in one pod's folder do not destroy the notes of another pod.
func TestNotesOfEarlierAgentsBesideHostileFolders(t *testing.T) {
	data := t.TempDir()
	now := dirsOf(data, testpod.New(corev1.RestartPolicyAlways, "a"))
	old := filepath.Join(podsDir(data), filepath.Base(now.notes), "containers")
	hostile := filepath.Join(podsDir(data), "hostile", "containers")
	long := filepath.Join(hostile, strings.Repeat("n", 255)) // the name of its note would be too long
	for _, dir := range []string{filepath.Join(old, "a"), filepath.Join(old, "b"), long} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "run.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(old, "b"), filepath.Join(hostile, "link")); err != nil {
		t.Fatal(err)
	}
	if err := AdoptNotes(data); err == nil {
		t.Error("a note that cannot be moved is not told of")
	}
	for _, container := range []string{"a", "b"} {
		if !testfiles.Exists(now.specFile(container)) {
			t.Errorf("the note of container %s was not moved", container)
		}
	}
}

// TestNotesOfNoPod: notes are removed if their pod and its folder do not exist any more. An agent
// may have exited between the two removals.
func TestNotesOfNoPod(t *testing.T) {
	data := t.TempDir()
	for _, uid := range []string{"known", "gone"} {
		note(t, Pod{notes: filepath.Join(notesDir(data), uid)})
	}
	err := Layout{Data: data, Logs: filepath.Join(data, "logs")}.RemoveOrphans(t.Context(), func(uid types.UID) bool { return uid == "known" })
	if err != nil {
		t.Fatal(err)
	}
	for uid, stays := range map[string]bool{"known": true, "gone": false} {
		if testfiles.Exists(filepath.Join(notesDir(data), uid)) != stays {
			t.Errorf("the notes of %s are there: %t", uid, !stays)
		}
	}
}

func noteFiles(d Pod) []string {
	return []string{d.HandlerFile(), d.addressesFile(), d.specFile("a"), d.shownFile("a"), d.spentFile("a")}
}

// note writes one note of each kind.
func note(t *testing.T, d Pod) {
	t.Helper()
	for _, err := range []error{
		d.KeepHandler("wasmtime-isolated"),
		d.KeepAddresses(podspec.Addresses{Own: []netip.Addr{netip.MustParseAddr("10.1.0.5")}}),
		d.KeepSpec("a", runtime.Spec{ID: "run", Of: runtime.Origin{ImageID: "image"}}),
		d.KeepShown("a", []string{"shown"}),
		d.KeepSpent("a", Spent{Runs: 3}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// checkNotes compares the notes on disk with those that the function note wrote.
func checkNotes(t *testing.T, d Pod) {
	t.Helper()
	if handler, err := d.Handler(); handler != "wasmtime-isolated" || err != nil {
		t.Errorf("the handler is %q, %v", handler, err)
	}
	if p := d.Addresses(); len(p.Own) != 1 {
		t.Errorf("the pod is at %+v", p)
	}
	if spec, err := d.Spec("a", "run"); err != nil || spec.ID != "run" {
		t.Errorf("the spec is %+v, %v", spec, err)
	}
	if ids, err := d.Shown(); err != nil || !reflect.DeepEqual(ids, []string{"shown"}) {
		t.Errorf("shown are %q, %v", ids, err)
	}
	if s, err := d.Spent("a"); err != nil || s.Runs != 3 {
		t.Errorf("spent is %+v, %v", s, err)
	}
}
