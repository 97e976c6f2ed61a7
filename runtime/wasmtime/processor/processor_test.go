package processor

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestThrottleHoldsTheLimit simulates a guest that spins. The throttle checks it after every 10 ms
// in which it runs.
func TestThrottleHoldsTheLimit(t *testing.T) {
	for _, limit := range []int64{1, 10, 100, 250, 500, 900, 1000, 4000} {
		now := time.Unix(0, 0)
		began, cpu := now, time.Duration(0)
		th := newThrottle(limit, now, cpu)
		cpu += Period * time.Duration(limit) / 1000 // the credit at the start is not part of the rate
		for now.Sub(began) < time.Hour {
			now, cpu = now.Add(Epoch), cpu+Epoch
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
	if wait := th.wait(now.Add(time.Hour), 10*time.Millisecond); wait != 0 { // 10 saved, 1 is added during the time
		t.Errorf("within what it has saved: wait %v", wait)
	}
	if wait := th.wait(now.Add(time.Hour), 110*time.Millisecond); wait != 890*time.Millisecond { // 1 + 10 - 100 ms
		t.Errorf("beyond it: wait %v", wait)
	}
}

// TestTurnsGoRound: the guest that has waited longest is next. A guest that ends its turn goes to
// the end of the queue.
func TestTurnsGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := &Turns{slots: 2}
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				var mine turn
				defer ts.leave(&mine)
				time.Sleep(time.Duration(i) * time.Millisecond) // so that they come one after the other
				for n := range 3 {
					ts.next(t.Context(), &mine, time.Duration(n)*quantum)
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					time.Sleep(Epoch)
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

// TestTurnsExpire: a guest that does not return, because it waits for something, does not stop the
// others.
func TestTurnsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		computes := false
		ts := &Turns{slots: 1, runnable: func(thread int) bool { return computes }}
		var first, second turn
		ts.next(t.Context(), &first, 0)
		running := false
		go func() {
			ts.next(t.Context(), &second, 0)
			running = true
		}()
		ts.Expire(first.since.Add(maxTurn))
		computes = true
		ts.Expire(first.since.Add(maxTurn + 1))
		computes = false
		synctest.Wait()
		if running {
			t.Error("the first lost its turn too early")
		}
		ts.Expire(first.since.Add(maxTurn + 1))
		synctest.Wait()
		if !running {
			t.Error("the first keeps its turn")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ts.next(ctx, &first, quantum) // a kill does not have to wait
		ts.next(t.Context(), &second, quantum)
		if len(ts.holders) != 1 || len(ts.queue) != 0 {
			t.Errorf("left are %d holders, %d in the queue", len(ts.holders), len(ts.queue))
		}
	})
}

// TestTickerTicksForItsUsers: it ticks as long as it has a user, and not after that.
func TestTickerTicksForItsUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticks := 0
		ticker := NewTicker(func(time.Time) { ticks++ })
		ticker.Acquire()
		ticker.Acquire()
		ticker.Release()
		time.Sleep(10*Epoch + Epoch/2)
		ticker.Release()
		ticker.Wait()
		time.Sleep(10 * Epoch)
		if ticks != 10 {
			t.Errorf("%d ticks in 10 epochs with users and 10 without", ticks)
		}
	})
}

// TestResizeEndsAWait: a guest that waits because of a small limit continues when the limit is
// raised.
func TestResizeEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(NewTurns(), 1)
		p.Begin(0, 0)
		began := time.Now()
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			p.Look(t.Context(), 0, time.Second, false) // which the limit allows in 1,000 s
		}()
		time.Sleep(time.Second)
		p.Resize(1000)
		<-looked
		if waited := time.Since(began); waited != time.Second || p.Throttled() != waited {
			t.Errorf("held back for %v, counted %v", waited, p.Throttled())
		}
	})
}

// TestThreadsShareALimit: two threads that spin at the same time have together what one alone
// would have.
func TestThreadsShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 500
		p := NewPace(NewTurns(), limit)
		began := time.Now()
		var used [2]time.Duration
		var all sync.WaitGroup
		for number := range used {
			p.Begin(number, 0)
			all.Go(func() {
				for time.Since(began) < time.Minute {
					time.Sleep(Epoch) // the thread computes
					used[number] += Epoch
					p.Look(t.Context(), number, used[number], false)
				}
				p.End(number, used[number])
			})
		}
		all.Wait()
		share := 1000 * float64(used[0]+used[1]) / float64(time.Since(began))
		if share < limit*0.98 || share > limit*1.02 {
			t.Errorf("used %.1f thousandths, the limit is %d", share, limit)
		}
		if least := min(used[0], used[1]); 4*least < used[0]+used[1] {
			t.Errorf("the threads used %v", used)
		}
		if len(p.threads) != 0 {
			t.Errorf("%d threads are left", len(p.threads))
		}
	})
}

// TestOthersThreadsAreLeftAlone: what is asked for a thread that has not begun does nothing.
func TestOthersThreadsAreLeftAlone(t *testing.T) {
	p := NewPace(NewTurns(), 1)
	p.Begin(-1, 0)
	p.Look(t.Context(), -2, time.Hour, true)
	p.Between(t.Context())
	p.End(-2, time.Hour)
	if p.used != 0 || p.Throttled() != 0 || len(p.threads) != 1 {
		t.Errorf("used %v, held back for %v, %d threads", p.used, p.Throttled(), len(p.threads))
	}
}
