package wasmtime

import (
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

const spinText = `(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))`

func TestCPULimit(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, spinText), runtime.Spec{CPULimit: 200})
	began := time.Now()
	eventually.True(t, "the guest is held back", func() bool { return r.process.Stats().Throttled > 300*time.Millisecond })
	wall, stats := time.Since(began), r.process.Stats()
	r.process.Stop(0)
	r.wait()
	share := float64(stats.CPU) / float64(wall)
	t.Logf("%v of processor time in %v: %.3f; held back for %v", stats.CPU, wall, share, stats.Throttled)
	// The guest may start with a credit of a tenth of a second. On a busy machine it gets less.
	if limit := 0.2*1.1*float64(wall) + 0.2*float64(processor.Period+2*processor.Epoch); float64(stats.CPU) > limit {
		t.Errorf("a guest limited to 0.2 used %.3f", share)
	}
}

func TestKillEndsAThrottledGuest(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, spinText), runtime.Spec{CPULimit: 1})
	eventually.True(t, "the guest has run", func() bool { return r.process.Stats().CPU > 0 })
	r.process.Stop(0)
	if exit := r.wait(); exit.Code != 137 {
		t.Errorf("exit %+v", exit)
	}
}

func TestStats(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, `(module (memory (export "memory") 3) (func (export "_start")
		(drop (memory.grow (i32.const 4))) (loop $l (br $l))))`), runtime.Spec{})
	if s := r.process.Stats(); s.Memory < 3*wasmPage {
		t.Errorf("at the start: %+v", s)
	}
	eventually.True(t, "its use is seen", func() bool {
		s := r.process.Stats()
		return s.Memory == 7*wasmPage && s.CPU > 20*time.Millisecond
	})
	r.process.Stop(0)
	r.wait()
	if s := r.process.Stats(); s.Memory != 7*wasmPage || s.CPU < 20*time.Millisecond || s.Throttled != 0 {
		t.Errorf("after its end: %+v", s)
	}
	r = start(t, e, wat(t, `(module (func (export "_start") (loop $l (br $l))))`), runtime.Spec{})
	if s := r.process.Stats(); s.Memory <= 0 {
		t.Errorf("without a memory: %+v", s)
	}
	r.process.Stop(0)
	r.wait()
}

// TestSpinningGuestsShare: each of many guests that spin makes progress. A guest that only answers
// requests does not wait for all of them.
// docs/security.md: "without a limit it may use one core, and guests that spin take turns."
func TestSpinningGuestsShare(t *testing.T) {
	e := newEngine(t)
	file := wat(t, spinText)
	var all []*guestRun
	for range 50 {
		all = append(all, start(t, e, file, runtime.Spec{}))
	}
	before := make([]time.Duration, len(all))
	for i, r := range all {
		before[i] = r.process.Stats().CPU
	}
	var low, high time.Duration
	eventually.True(t, "each has used 40 ms", func() bool {
		time.Sleep(processor.Epoch)
		low, high = time.Hour, 0
		for i, r := range all {
			used := r.process.Stats().CPU - before[i]
			low, high = min(low, used), max(high, used)
		}
		return low > 40*time.Millisecond
	})
	t.Logf("processor time of 50 guests: %v to %v", low, high)
	if high > 5*low {
		t.Errorf("from %v to %v: that is not fair", low, high)
	}
	for _, r := range all {
		r.process.Stop(0)
	}
	for _, r := range all {
		r.wait()
	}
}

// TestLongHostCallsAreHeldBack: the limit of a guest also applies within a single host call with
// much work.
// docs/security.md: "A guest is one thread, held back to `resources.limits.cpu`"
func TestLongHostCallsAreHeldBack(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, `(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
		(memory (export "memory") 2048) (func (export "_start") (drop (call $random (i32.const 0) (i32.const 134217728)))))`), runtime.Spec{CPULimit: 200})
	exit := r.wait()
	if exit.Code != 0 {
		t.Fatalf("exit %+v", exit)
	}
	wall, used := exit.FinishedAt.Sub(exit.StartedAt), r.process.Stats().CPU
	if most := 0.2*1.1*float64(wall) + 0.2*float64(processor.Period) + float64(3*processor.Epoch); float64(used) > most {
		t.Errorf("a guest limited to 0.2 used %v in %v", used, wall)
	}
}
