package pool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// pidOf is the process of the only worker.
func pidOf(tb testing.TB, dir string) int {
	tb.Helper()
	for _, info := range workers(dir) {
		return info.PID
	}
	tb.Fatal("no worker")
	return 0
}

func TestWorkerThatExitsEndsItsGuests(t *testing.T) {
	for signal, want := range map[syscall.Signal]string{syscall.SIGKILL: "killed", syscall.SIGABRT: "aborted"} {
		for _, adopted := range []bool{false, true} {
			t.Run(fmt.Sprint(signal, " adopted=", adopted), func(t *testing.T) {
				dir := t.TempDir()
				kept := filepath.Join(t.TempDir(), "kept")
				if adopted { // a worker that is not a child of this process
					startAgent(t, dir, "r1 "+kept+" sleep", "r2 "+kept+" exit 9")()
				}
				p := open(t, config(t, dir))
				if !adopted {
					mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
					exitOf(t, mustStart(t, p, spec(t, "r2", "pod1", "exit", "9"), runtime.Streams{}))
				}
				command := mustStart(t, p, runtime.Spec{ID: "s1", Of: runtime.Origin{Pod: "pod1"}, Command: runtime.Command{Args: []string{"sleep"}}}, runtime.Streams{})
				pid := pidOf(t, dir)
				if err := syscall.Kill(pid, signal); err != nil {
					t.Fatal(err)
				}
				text := fmt.Sprintf("the worker process %d that hosted the container was killed (signal: %s)", pid, want)
				for name, process := range map[string]runtime.Guest{"container": run(t, p, "r1").Guest, "command": command} {
					e := exitOf(t, process)
					if e.Code != 128+int32(signal) || e.Reason != runtime.Error || e.Message != text || e.StartedAt.IsZero() || e.FinishedAt.Before(e.StartedAt) {
						t.Errorf("exit of a %s: %+v", name, e)
					}
				}
				if e := exitOf(t, run(t, p, "r2").Guest); e.Code != 9 {
					t.Errorf("exit of a guest that had ended before: %+v", e)
				}
				run(t, p, "r1").Guest.Forget()
				mustStart(t, p, spec(t, "r3", "pod1", "sleep"), runtime.Streams{})
				eventually.True(t, "the folder of the worker that has exited is removed", func() bool {
					left, _ := os.ReadDir(dir)
					return len(left) == 3 // a folder, its record and its key
				})
				if now := pidOf(t, dir); now == pid {
					t.Error("the worker is the one that has exited")
				}
				if len(p.Runs()) != 2 {
					t.Errorf("runs: %+v", p.Runs())
				}
			})
		}
	}
}

// starved says for every process whether the kernel has killed it because of too little memory.
type starved bool

func (starved) Add(string, int) error     { return nil }
func (s starved) OutOfMemory(string) bool { return bool(s) }
func (starved) Remove(string) error       { return nil }

func TestWorkerKilledForWantOfMemorySaysSo(t *testing.T) {
	for _, c := range []struct {
		kernel starved
		signal syscall.Signal
		want   string
	}{
		{true, syscall.SIGKILL, "was killed (signal: killed, by the kernel for want of memory)"},
		{false, syscall.SIGKILL, "was killed (signal: killed)"},
		{true, syscall.SIGABRT, "was killed (signal: aborted)"}, // the kernel does not send it
	} {
		t.Run(c.want, func(t *testing.T) {
			cfg := config(t, t.TempDir())
			cfg.Groups = c.kernel
			p := open(t, cfg)
			process := mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
			if err := syscall.Kill(pidOf(t, cfg.Dir), c.signal); err != nil {
				t.Fatal(err)
			}
			if e := exitOf(t, process); !strings.HasSuffix(e.Message, c.want) || e.Code != 128+int32(c.signal) {
				t.Errorf("exit: %+v", e)
			}
		})
	}
}

func TestStartThatKillsTheWorkerSaysSo(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	_, err := p.Start(t.Context(), spec(t, "r1", "pod1", "die"), runtime.Streams{})
	if err == nil || !strings.Contains(err.Error(), "was killed (signal: killed)") {
		t.Fatalf("error: %v", err)
	}
	if len(p.Runs()) != 0 {
		t.Errorf("runs: %+v", p.Runs())
	}
	mustStart(t, p, spec(t, "r2", "pod1", "sleep"), runtime.Streams{})
}

func TestStartRightAfterAnExit(t *testing.T) {
	dir := t.TempDir()
	p := open(t, config(t, dir))
	for i := range 5 {
		mustStart(t, p, spec(t, fmt.Sprint("r", i), "pod1", "sleep"), runtime.Streams{})
		eventually.True(t, "one worker", func() bool { return len(workers(dir)) == 1 })
		if err := syscall.Kill(pidOf(t, dir), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually.True(t, "the last worker's folder is removed", func() bool { return len(workers(dir)) == 0 })
}

func TestWorkerToldToExitKillsItsGuestsAndTells(t *testing.T) {
	dir := t.TempDir()
	p := open(t, config(t, dir))
	process := mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	if err := syscall.Kill(pidOf(t, dir), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e := exitOf(t, process); e.Code != 137 || e.Message != "killed" {
		t.Errorf("exit: %+v", e)
	}
}

func TestWorkerThatDoesNotAnswerIsReplaced(t *testing.T) {
	dir := t.TempDir()
	cfg := config(t, dir)
	cfg.Patience = 3 * time.Second
	p := open(t, cfg)
	mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	p.Close()
	pid := pidOf(t, dir)
	standStill(t, pid)
	p = open(t, cfg)
	if n := len(p.Runs()); n != 0 {
		t.Errorf("%d runs", n)
	}
	eventually.True(t, "the worker has exited", func() bool { return len(workers(dir)) == 0 })
}
