package wasmtime

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const spinText = `(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))`

// TestThrottleHoldsTheLimit plays a guest that spins, and is looked at every 10 ms in which it runs.
func TestThrottleHoldsTheLimit(t *testing.T) {
	for _, limit := range []int64{1, 10, 100, 250, 500, 900, 1000, 4000} {
		now := time.Unix(0, 0)
		began, cpu := now, time.Duration(0)
		th := newThrottle(limit, now, cpu)
		cpu += throttlePeriod * time.Duration(limit) / 1000 // what it starts with is no matter of the rate
		for now.Sub(began) < time.Hour {
			now, cpu = now.Add(epoch), cpu+epoch
			now = now.Add(th.wait(now, cpu))
		}
		share := 1000 * float64(cpu) / float64(now.Sub(began))
		if want := float64(min(limit, 1000)); share < want*0.99 || share > want*1.01 {
			t.Errorf("limit %d: used %.2f", limit, share)
		}
	}
}

func TestThrottleForgetsIdleTime(t *testing.T) {
	now := time.Unix(0, 0)
	th := newThrottle(100, now, 0)
	if wait := th.wait(now.Add(time.Hour), 10*time.Millisecond); wait != 0 { // 10 saved, 1 comes meanwhile
		t.Errorf("within what it has saved: wait %v", wait)
	}
	if wait := th.wait(now.Add(time.Hour), 110*time.Millisecond); wait != 890*time.Millisecond { // 1 + 10 - 100 ms
		t.Errorf("beyond it: wait %v", wait)
	}
}

func TestCPULimit(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, spinText), runtime.Spec{CPULimit: 200})
	began := time.Now()
	eventually(t, "the guest is held back", func() bool { return r.process.Stats().Throttled > 300*time.Millisecond })
	wall, stats := time.Since(began), r.process.Stats()
	r.process.Stop(0)
	r.wait()
	share := float64(stats.CPU) / float64(wall)
	t.Logf("%v of processor time in %v: %.3f; held back for %v", stats.CPU, wall, share, stats.Throttled)
	// It may start with what a tenth of a second gives; on a machine with no time to spare it gets less.
	if limit := 0.2*1.1*float64(wall) + 0.2*float64(throttlePeriod+2*epoch); float64(stats.CPU) > limit {
		t.Errorf("a guest limited to 0.2 used %.3f", share)
	}
}

func TestKillEndsAThrottledGuest(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, spinText), runtime.Spec{CPULimit: 1})
	eventually(t, "the guest has run", func() bool { return r.process.Stats().CPU > 0 })
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
	eventually(t, "its use is seen", func() bool {
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

// TestTurnsGoRound: who waits longest is next, and who ends its turn stands behind all who wait.
func TestTurnsGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := &turns{slots: 2}
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				var mine turn
				defer ts.leave(&mine)
				time.Sleep(time.Duration(i) * time.Millisecond) // one after the other
				for n := range 3 {
					ts.next(t.Context(), &mine, time.Duration(n)*quantum)
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					time.Sleep(epoch)
				}
			})
		}
		wg.Wait()
		if want := []int{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4}; !slices.Equal(order, want) {
			t.Errorf("turns went to %v, want %v", order, want)
		}
		if len(ts.holders) != 0 || len(ts.queue) != 0 {
			t.Errorf("left are %d holders, %d in the queue", len(ts.holders), len(ts.queue))
		}
	})
}

// TestTurnsExpire: a guest that does not come back, since it waits for something, does not stop the others.
func TestTurnsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		computes := false
		ts := &turns{slots: 1, runnable: func(thread int) bool { return computes }}
		var first, second turn
		ts.next(t.Context(), &first, 0)
		running := false
		go func() {
			ts.next(t.Context(), &second, 0)
			running = true
		}()
		ts.expire(first.since.Add(maxTurn))
		computes = true
		ts.expire(first.since.Add(maxTurn + 1))
		computes = false
		synctest.Wait()
		if running {
			t.Error("the first lost its turn too early")
		}
		ts.expire(first.since.Add(maxTurn + 1))
		synctest.Wait()
		if !running {
			t.Error("the first keeps its turn")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ts.next(ctx, &first, quantum) // a kill does not wait
		ts.next(t.Context(), &second, quantum)
		if len(ts.holders) != 1 || len(ts.queue) != 0 {
			t.Errorf("left are %d holders, %d in the queue", len(ts.holders), len(ts.queue))
		}
	})
}

// TestSpinningGuestsShare: each of many guests that spin gets on, and a guest that only answers does not wait
// for them all.
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
	eventually(t, "each has used 40 ms", func() bool {
		time.Sleep(epoch)
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

// TestLongHostCallsAreHeldBack: a guest that does nothing but make one host call of much work is held to its limit within it.
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
	if most := 0.2*1.1*float64(wall) + 0.2*float64(throttlePeriod) + float64(3*epoch); float64(used) > most {
		t.Errorf("a guest limited to 0.2 used %v in %v", used, wall)
	}
}
