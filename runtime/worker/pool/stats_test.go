package pool_test

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestStatsOfAll: the pool asks all workers. The result does not include commands and guests that
// have ended.
func TestStatsOfAll(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Shards = 2
	var started, commands atomic.Int32
	cfg.Started = func(command bool, took time.Duration) {
		started.Add(1)
		if command {
			commands.Add(1)
		}
		if took <= 0 {
			t.Errorf("a start took %v", took)
		}
	}
	p := open(t, cfg)
	const guests = 20
	for i := range guests {
		mustStart(t, p, spec(t, fmt.Sprint("r", i), fmt.Sprint("pod", i), "sleep"), runtime.Streams{})
	}
	exitOf(t, mustStart(t, p, spec(t, "ended", "pod1", "exit", "0"), runtime.Streams{}))
	command := spec(t, "command", "pod1", "sleep")
	command.Of.Container = ""
	mustStart(t, p, command, runtime.Streams{})
	all := p.Stats(t.Context())
	if len(all) != guests {
		t.Errorf("%d of %d guests: %v", len(all), guests, all)
	}
	for i := range guests {
		if got := all[fmt.Sprint("r", i)]; got != (runtime.Stats{CPU: time.Second, Throttled: time.Millisecond, Memory: 65536}) {
			t.Errorf("r%d: %+v", i, got)
		}
	}
	if started.Load() != guests+2 || commands.Load() != 1 {
		t.Errorf("%d starts, %d of them of commands", started.Load(), commands.Load())
	}
	if n := p.Resident(); n < 2<<20 || n > 1<<30 {
		t.Errorf("two workers have %d bytes", n)
	}
	if workers, running := p.Counts(); workers != 2 || running < guests {
		t.Errorf("%d workers with %d guests", workers, running)
	}
}

// TestStatsWithoutAnAnswer: a worker that does not answer delays callers by a second, and its last
// values are used.
func TestStatsWithoutAnAnswer(t *testing.T) {
	cfg := config(t, t.TempDir())
	p := open(t, cfg)
	mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	before := p.Stats(t.Context())
	pid := pidOf(t, cfg.Dir)
	standStill(t, pid)
	defer syscall.Kill(pid, syscall.SIGCONT)
	began := time.Now()
	if after := p.Stats(t.Context()); after["r1"] != before["r1"] || len(after) != 1 {
		t.Errorf("%+v, before %+v", after, before)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
