package pool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// asEarlier removes the files beside the folders of workers. Agents of earlier versions had only
// the folders, with the file that each worker wrote about itself.
func asEarlier(t *testing.T, dir string, suffixes ...string) {
	t.Helper()
	for _, suffix := range suffixes {
		files, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
		if len(files) == 0 {
			t.Fatalf("no worker has a file %s", suffix)
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWorkerOfAnEarlierAgent: a worker without a record or a key keeps its guests and gets no new
// ones.
func TestWorkerOfAnEarlierAgent(t *testing.T) {
	for what, spoil := range map[string]func(t *testing.T, dir, shared string){
		"no records": func(t *testing.T, dir, _ string) { asEarlier(t, dir, ".json", ".key") },
		"no records, and no word of the worker": func(t *testing.T, dir, shared string) {
			asEarlier(t, dir, ".json", ".key")
			if err := os.Truncate(filepath.Join(shared, "worker.json"), 7); err != nil {
				t.Fatal(err)
			}
		},
		"no keys": func(t *testing.T, dir, _ string) { asEarlier(t, dir, ".key") },
		"damaged records": func(t *testing.T, dir, shared string) {
			for _, suffix := range []string{".json", ".key"} {
				if err := os.Truncate(shared+suffix, 3); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			cfg := config(t, t.TempDir())
			shared, _ := twoWorkers(t, cfg)
			pid := pidIn(t, shared)
			spoil(t, cfg.Dir, shared)
			p := adoptQuickly(t, cfg)
			goesOn(t, p, "r1", "pod1")
			goesOn(t, p, "r2", "pod2")
			next := spec(t, "r3", "pod1", "sleep")
			mustStart(t, p, next, runtime.Streams{})
			if podWorkers([]runtime.Spec{next})[fmt.Sprint(pid)] {
				t.Error("it got a new guest")
			}
			old := run(t, p, "r1").Guest
			old.Stop(0)
			if e := exitOf(t, old); e.Code != 137 {
				t.Errorf("exit: %+v", e)
			}
			old.Forget()
			eventually.True(t, "it ends with its last guest, and nothing of it is left", func() bool {
				left, _ := filepath.Glob(shared + "*")
				return len(left) == 0
			})
		})
	}
}

// TestSilentWorkerOfAnEarlierAgent: the agent finds such a worker by the lock of its folder, and
// kills it like others.
func TestSilentWorkerOfAnEarlierAgent(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.Patience = 3 * time.Second
	shared, _ := twoWorkers(t, cfg)
	pid := pidIn(t, shared)
	asEarlier(t, cfg.Dir, ".json", ".key")
	standStill(t, pid)
	p := open(t, cfg)
	goesOn(t, p, "r2", "pod2")
	if n := len(p.Runs()); n != 1 {
		t.Errorf("%d runs", n)
	}
	eventually.True(t, "it has ended", func() bool { return unix.Kill(pid, 0) != nil })
}

func pidIn(t *testing.T, dir string) int {
	t.Helper()
	info, err := wire.ReadInfo(dir)
	if err != nil || info.PID == 0 {
		t.Fatalf("worker %s: %+v, %v", dir, info, err)
	}
	return info.PID
}

// TestEarlierWorkerClaimsOthersRuns: if two workers claim a run, the agent believes the one that
// can prove it, and not the one that cannot.
func TestEarlierWorkerClaimsOthersRuns(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Patience = 5 * time.Second
	from := filepath.Join(t.TempDir(), "from")
	lying := cfg
	lying.Argv = []string{"/proc/self/exe", "worker", "--liar", "--lie=claims", "--from=" + from}
	first := open(t, lying)
	mustStart(t, first, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	first.Close()
	liar := pidOf(t, cfg.Dir)
	t.Cleanup(func() { _ = unix.Kill(liar, unix.SIGKILL) }) // it does not write its number to a file
	asEarlier(t, cfg.Dir, ".json", ".key")
	second := open(t, cfg)
	own := spec(t, "r2", "pod2", "sleep")
	own.Isolated = true
	mustStart(t, second, own, runtime.Streams{})
	second.Close()
	if err := os.WriteFile(from, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := adoptQuickly(t, cfg)
	goesOn(t, p, "r1", "pod1")
	goesOn(t, p, "r2", "pod2")
	isolated := run(t, p, "r2").Guest
	isolated.Stop(0)
	if e := exitOf(t, isolated); e.Code != 137 {
		t.Errorf("the run was stopped elsewhere: %+v", e)
	}
}
