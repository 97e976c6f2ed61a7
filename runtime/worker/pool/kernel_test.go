package pool_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// starvedGroup is a control group of the test, of version 1 or 2. Its memory limit is so low that
// the kernel kills a process that needs 8 MiB more. If the test may not make a group, it kills the
// process itself and says that the kernel did.
type starvedGroup struct{ dir string }

func newStarvedGroup(t *testing.T) *starvedGroup {
	t.Helper()
	for parent, limit := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		dir := filepath.Join(parent, fmt.Sprint("krustlet-wasi-test-", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		// Where version 1 is mounted, the second parent may be a folder like any other.
		file, err := os.OpenFile(filepath.Join(dir, limit), os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteString("8388608")
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
			continue
		}
		t.Cleanup(func() {
			eventually.True(t, "the control group is empty", func() bool { return os.Remove(dir) == nil })
		})
		return &starvedGroup{dir}
	}
	return &starvedGroup{}
}

// starve makes the kernel kill a process.
func (g *starvedGroup) starve(t *testing.T, pid int) {
	t.Helper()
	var err error
	if g.dir == "" {
		err = unix.Kill(pid, unix.SIGKILL)
	} else {
		err = os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (*starvedGroup) Add(string, int) error { return nil }
func (*starvedGroup) Remove(string) error   { return nil }

func (g *starvedGroup) OutOfMemory(string) bool {
	if g.dir == "" {
		return true
	}
	for _, file := range []string{"memory.oom_control", "memory.events"} {
		text, _ := os.ReadFile(filepath.Join(g.dir, file))
		for line := range strings.Lines(string(text)) {
			if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
				return n != "0"
			}
		}
	}
	return false
}

// TestKernelKillsAWorkerForWantOfMemory: the kernel itself ends a worker whose control group has no
// more memory. The exits of running guests say so, guests that had ended before keep their exits,
// and the next guest gets a worker.
func TestKernelKillsAWorkerForWantOfMemory(t *testing.T) {
	group := newStarvedGroup(t)
	cfg := config(t, t.TempDir())
	cfg.Groups = group
	p := open(t, cfg)
	long := mustStart(t, p, spec(t, "long", "pod1", "sleep"), runtime.Streams{})
	exitOf(t, mustStart(t, p, spec(t, "ended", "pod2", "exit", "9"), runtime.Streams{}))
	pid := pidOf(t, cfg.Dir)
	group.starve(t, pid)
	for n := range 100 {
		_, err := p.Start(t.Context(), spec(t, fmt.Sprint("more", n), "pod3", "sleep", strings.Repeat("x", 1<<20)), runtime.Streams{})
		if err != nil || len(workers(cfg.Dir)) == 0 {
			break
		}
	}
	const code = 128 + int32(syscall.SIGKILL)
	want := fmt.Sprintf("the worker process %d that hosted the container was killed (signal: killed, by the kernel for want of memory)", pid)
	if e := exitOf(t, long); e.Code != code || e.Message != want {
		t.Errorf("exit: %+v", e)
	}
	if e := exitOf(t, run(t, p, "ended").Guest); e.Code != 9 {
		t.Errorf("exit of a guest that had ended before: %+v", e)
	}
	mustStart(t, p, spec(t, "next", "pod1", "sleep"), runtime.Streams{})
	if now := pidOf(t, cfg.Dir); now == pid {
		t.Error("the worker is the dead one")
	}
}
