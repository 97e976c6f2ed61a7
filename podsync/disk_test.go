package podsync

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/deeptree"
	"github.com/krustlet-go/krustlet-wasi/hack/ownprocess"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
)

// rootOf is the root directory of the container of a pod that crowd makes.
func (h *home) rootOf(pod string) string {
	return filepath.Join(h.dataDir, "pods", pod, "containers", "main", "root")
}

func (h *home) end(pod string, code int32) {
	for _, g := range h.engine.all() {
		if g.spec.Of.Pod == pod && !ended(g) {
			g.end(code)
		}
	}
}

// TestEvictTheDeepOne: on a full disk, the pod whose files are deeper than a path can name is
// evicted.
func TestEvictTheDeepOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, crowd("deep", "large", "little")...)
		calm := true
		p := &pressure{signal: node.DiskAvailable}
		p.short = func() bool { return !calm && testfiles.Exists(h.rootOf("deep")) }
		h.alter = func(s *Settings) { s.Pressure = p }
		h.run(func(*Manager) {
			pass(time.Second)
			deeptree.Make(t, h.rootOf("deep"), 300, 8<<20)
			if err := os.WriteFile(filepath.Join(h.rootOf("large"), "file"), make([]byte, 4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			p.mu.Lock()
			calm = false
			p.mu.Unlock()
			pass(2 * time.Minute)
			if got := h.get("deep").Status; got.Reason != "Evicted" || !strings.Contains(got.Message, "Container main was using 9") {
				t.Errorf("deep: %s %q", got.Reason, got.Message)
			}
			if got := h.running(); !slices.Equal(got, []string{"large", "little"}) {
				t.Errorf("%v run on", got)
			}
		})
	})
}

// TestDeepPodsGo: removing the folders of a pod with 25,000 levels needs few file descriptors. They
// are removed when the pod has ended or is deleted, when no such pod exists any more, and before
// the next run.
func TestDeepPodsGo(t *testing.T) {
	if !ownprocess.Enter(t, unix.CLONE_NEWNS) {
		return
	}
	data, unmount := inMemory(t)
	defer unmount()
	logs := filepath.Join(data, "logs")
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	d := dirsOf(data, pod)
	ownprocess.LimitFiles(t, 64)
	for name, clear := range map[string]func() error{
		"ended":   func() error { return d.ClearRoots(t.Context(), pod) },
		"removed": func() error { return d.Remove(t.Context()) },
		"orphan": func() error {
			return podfiles.Layout{Data: data, Logs: logs}.RemoveOrphans(t.Context(), func(types.UID) bool { return false })
		},
		"the next run": func() error {
			_, _, err := d.MakeRun(t.Context(), &corev1.Container{Name: "a"}, 1, "")
			return err
		},
	} {
		if err := d.Make(); err != nil {
			t.Fatal(err)
		}
		_, mounts, err := d.MakeRun(t.Context(), &corev1.Container{Name: "a"}, 0, "")
		if err != nil {
			t.Fatal(err)
		}
		deep := filepath.Join(mounts[0].Host, "deep")
		if err := os.Mkdir(deep, 0o700); err != nil {
			t.Fatal(err)
		}
		deeptree.Make(t, deep, 25_000, 1)
		if err := clear(); err != nil || testfiles.Exists(deep) {
			t.Errorf("%s: it is left: %v; %v", name, testfiles.Exists(deep), err)
		}
	}
}

// inMemory is a small disk that only this process sees, and a function that unmounts it.
func inMemory(t *testing.T) (dir string, unmount func()) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("x", dir, "tmpfs", 0, "size=256m"); err != nil {
		t.Fatal(err)
	}
	return dir, func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }
}

// TestReadOnlyDisk: while the disk is read-only, running pods go on, and no pod is evicted because
// of the disk. Pods that cannot go on say why. They are tried again, but not too often. When the
// disk is writable again, all pods go on.
func TestReadOnlyDisk(t *testing.T) {
	if !ownprocess.Enter(t, unix.CLONE_NEWNS) {
		return
	}
	disk, unmount := inMemory(t)
	defer unmount()
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", disk, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		pods := crowd("crashes", "done", "runs", "going")
		pods[1].Spec.RestartPolicy = corev1.RestartPolicyNever
		h := newHome(t, pods...)
		h.dataDir = disk
		logged, logs := observer.New(zap.WarnLevel)
		p := &pressure{signal: node.DiskAvailable, short: func() bool { return readOnly(disk) }}
		h.alter = func(s *Settings) { s.Log, s.Pressure = zap.New(logged), p }
		if err := os.MkdirAll(filepath.Join(disk, "pods", "orphan", "volumes"), 0o700); err != nil {
			t.Fatal(err)
		}
		remount(unix.MS_RDONLY)
		h.run(func(*Manager) {
			pass(10 * time.Second)
			for _, pod := range pods {
				if s := h.get(pod.Name).Status; s.Phase != corev1.PodPending {
					t.Errorf("%s is %s without a folder", pod.Name, s.Phase)
				}
			}
			if events := strings.Join(h.drain(), "\n"); !strings.Contains(events, "Warning FailedMount making the pod's folder: mkdir "+disk+"/pods/runs: read-only file system") {
				t.Errorf("no event says why:\n%s", events)
			}
			remount(0)
			pass(3 * time.Minute)
			if got := h.running(); len(got) != len(pods) {
				t.Errorf("%v run once the disk may be written to", got)
			}
			if testfiles.Exists(filepath.Join(disk, "pods", "orphan")) {
				t.Error("the folder of a pod that was deleted was not tried again")
			}
			remount(unix.MS_RDONLY)
			logs.TakeAll()
			h.end("crashes", 1)
			h.end("done", 0)
			pass(10 * time.Minute)
			s := h.get("crashes").Status.ContainerStatuses[0].State.Waiting
			if s == nil || s.Reason != "CreateContainerError" || !strings.Contains(s.Message, "read-only file system") {
				t.Errorf("a container that cannot start waits as %+v", s)
			}
			if got := h.running(); !slices.Equal(got, []string{"going", "runs"}) {
				t.Errorf("%v run on", got)
			}
			said := map[string]int{}
			for _, e := range logs.TakeAll() {
				said[e.Message]++
			}
			for message, n := range said {
				if n > 70 { // tries come every ten seconds
					t.Errorf("in ten minutes, %d times: %s", n, message)
				}
			}
			if said["no pod is evicted: the disk has become read-only, and nothing would be freed; look for its errors in the kernel's log, and mount it for writing again"] == 0 {
				t.Errorf("nothing is said of the disk: %v", said)
			}
			if !testfiles.Exists(h.rootOf("done")) {
				t.Error("the disk was not read-only")
			}
			remount(0)
			pass(5 * time.Minute)
			if got := h.running(); !slices.Equal(got, []string{"crashes", "going", "runs"}) {
				t.Errorf("%v run in the end", got)
			}
			if testfiles.Exists(h.rootOf("done")) {
				t.Error("the files of a pod that has ended are left")
			}
		})
	})
}
