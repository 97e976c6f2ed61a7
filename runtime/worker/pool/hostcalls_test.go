package pool_test

import (
	"syscall"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestHostCalls: the calls of all guests in all workers count while the agent runs.
func TestHostCalls(t *testing.T) {
	cfg := config(t, t.TempDir())
	p := open(t, cfg)
	writes := func(want uint64, when string) {
		t.Helper()
		if got := p.HostCalls(t.Context()); got["fd_write"] != want || got["fd_read"] != 0 {
			t.Errorf("%s: %v, want %d writes", when, got, want)
		}
	}
	writes(0, "before the first guest")
	mustStart(t, p, spec(t, "stays", "pod1", "sleep"), runtime.Streams{})
	exitOf(t, mustStart(t, p, spec(t, "ends", "pod1", "exit", "0"), runtime.Streams{}))
	command := spec(t, "command", "pod1", "exit", "0")
	command.Of.Container = ""
	exitOf(t, mustStart(t, p, command, runtime.Streams{}))
	writes(30, "after a guest, one that has ended, and a command")

	alone := spec(t, "alone", "pod2", "exit", "0")
	alone.Isolated = true
	process := mustStart(t, p, alone, runtime.Streams{})
	exitOf(t, process)
	process.Forget()
	eventually.True(t, "the isolated worker is shut down", func() bool { return len(workers(cfg.Dir)) == 1 })
	eventually.True(t, "what it had not told before counts", func() bool { return p.HostCalls(t.Context())["fd_write"] == 40 })

	if err := syscall.Kill(pidOf(t, cfg.Dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exitOf(t, run(t, p, "stays").Guest)
	writes(40, "after a worker was killed")
	mustStart(t, p, spec(t, "again", "pod1", "sleep"), runtime.Streams{})
	writes(50, "with a new worker")
}

// TestHostCallsOfAdoptedWorkers: a new agent counts from its own start.
func TestHostCallsOfAdoptedWorkers(t *testing.T) {
	cfg := config(t, t.TempDir())
	first := open(t, cfg)
	mustStart(t, first, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	if got := first.HostCalls(t.Context()); got["fd_write"] != 10 {
		t.Errorf("the first agent: %v", got)
	}
	first.Close()
	second := open(t, cfg)
	if got := second.HostCalls(t.Context()); got["fd_write"] != 0 {
		t.Errorf("the second agent, at its beginning: %v", got)
	}
	mustStart(t, second, spec(t, "r2", "pod1", "sleep"), runtime.Streams{})
	if got := second.HostCalls(t.Context()); got["fd_write"] != 10 {
		t.Errorf("the second agent, after one start: %v", got)
	}
}
