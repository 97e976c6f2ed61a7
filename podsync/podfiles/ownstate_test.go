package podfiles

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// damages are the things that may have happened to a note.
var damages = map[string]func(path string) error{
	"cut off":           func(p string) error { return os.WriteFile(p, []byte(`{"ID":"run","Env":["TOKEN=s3cret`), 0o600) },
	"empty":             func(p string) error { return os.WriteFile(p, nil, 0o600) },
	"zeros":             func(p string) error { return os.WriteFile(p, make([]byte, 4096), 0o600) },
	"other types":       func(p string) error { return os.WriteFile(p, []byte(`{"ID":"run","Env":4711,"Attempt":"x"}`), 0o600) },
	"no object":         func(p string) error { return os.WriteFile(p, []byte(`[4711]`), 0o600) },
	"deep":              func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("[", 1_000_000)), 0o600) },
	"a directory":       func(p string) error { return os.Mkdir(p, 0o700) },
	"a named pipe":      func(p string) error { return syscall.Mkfifo(p, 0o600) },
	"a link":            func(p string) error { return os.Symlink("/dev/zero", p) },
	"larger than a run": func(p string) error { return sparse(p, 1<<40) },
}

func sparse(path string, size int64) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

// TestDamagedSpec: the spec of a run is in a file that may be damaged. One line says which file,
// and what to do.
//
// docs/security.md: "If a file is damaged, its content is lost, and no pod ends."
func TestDamagedSpec(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			d := Pod{Dir: filepath.Join(podsDir(data), "uid"), notes: filepath.Join(notesDir(data), "uid")}
			file := d.specFile("main")
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := damage(file); err != nil {
				t.Fatal(err)
			}
			_, err := d.Spec("main", "run")
			checkDamage(t, err, file, "delete the pod")
			_, err = ImagesOnDisk(data)
			checkDamage(t, err, file, "delete the pod")

			if name == "a directory" {
				return
			}
			// The next run writes the file again.
			if err := d.KeepSpec("main", runtime.Spec{ID: "next"}); err != nil {
				t.Fatal(err)
			}
			if spec, err := d.Spec("main", "next"); err != nil || spec.ID != "next" {
				t.Errorf("after the next run: %v", err)
			}
		})
	}
}

func checkDamage(t *testing.T, err error, parts ...string) {
	t.Helper()
	var damaged *damagedError
	if !errors.As(err, &damaged) {
		t.Fatalf("the error is %v", err)
	}
	for _, part := range append(parts, "is damaged") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	for _, value := range []string{"s3cret", "4711", "invalid character", "\n"} {
		if strings.Contains(err.Error(), value) {
			t.Errorf("the error quotes %q: %v", value, err)
		}
	}
}

// TestDamagedNotes: other notes of a pod may be damaged. Then the pod continues with the data of
// the API server.
//
// docs/security.md: "The agent reads the notes of an earlier agent (`DATA/notes`, hidden from
// workers) as if others had written them."
func TestDamagedNotes(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			d := Pod{notes: t.TempDir()}
			for _, file := range []string{d.HandlerFile(), d.addressesFile(), d.spentFile("main")} {
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := damage(file); err != nil {
					t.Fatal(err)
				}
			}
			if handler, err := d.Handler(); err != nil || handler == "wasmtime-isolated" || handler == "wasmtime" {
				t.Errorf("the handler is %q, %v", handler, err)
			}
			pod := &corev1.Pod{Status: corev1.PodStatus{
				HostIP: "192.0.2.1", PodIP: "10.1.0.5", PodIPs: []corev1.PodIP{{IP: "10.1.0.5"}},
				Conditions: []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue}},
			}}
			state, _ := life.Restore(pod, life.Remains{Addresses: d.Addresses()}, testpod.Epoch)
			// An empty file says that the pod has the node's address.
			if p := state.Addresses(); name != "empty" && (!p.Known || len(p.Own) != 1 || p.Own[0] != netip.MustParseAddr("10.1.0.5")) {
				t.Errorf("the pod is at %+v", p)
			}
			if s, err := d.Spent("main"); s.Use != (Use{}) {
				t.Errorf("it has used %+v, %v", s, err)
			}
		})
	}
}

// TestNotesAreWrittenWhole: writing a note does not follow a file or link at the note's path, and
// does not wait for a pipe.
func TestNotesAreWrittenWhole(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"a named pipe": func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"a link":       func(p string) error { return os.Symlink(filepath.Join(filepath.Dir(p), "elsewhere"), p) },
		"a file":       func(p string) error { return os.WriteFile(p, []byte("left by a crash"), 0o600) },
	} {
		dir := t.TempDir()
		if err := plant(filepath.Join(dir, "note.part")); err != nil {
			t.Fatal(err)
		}
		if err := writeWhole(filepath.Join(dir, "note"), "text"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "note")); err != nil || string(text) != "text" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
			t.Errorf("%s: it was followed", name)
		}
	}
}
