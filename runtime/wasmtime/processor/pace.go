package processor

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Pace decides, at every epoch in which a guest runs, whether the guest must wait.
type Pace struct {
	turns    *Turns
	turn     turn
	throttle *throttle // for the current limit; nil without a limit
	held     atomic.Int64
	seen     time.Duration // what the thread had used at the last call of Between

	limit   atomic.Int64  // thousandths of a processor; 0 means no limit
	resized chan struct{} // holds a token when the limit has changed
}

// NewPace makes the pace of a guest. limit is in thousandths of a processor; 0 means no limit.
func NewPace(turns *Turns, limit int64) *Pace {
	p := &Pace{turns: turns, resized: make(chan struct{}, 1)}
	p.limit.Store(limit)
	return p
}

// Begin is called on the guest's thread before the guest runs. thread is the thread's number in the
// kernel; cpu is what it has used so far.
func (p *Pace) Begin(thread int, cpu time.Duration) {
	p.turn.thread, p.turn.cpu = thread, cpu
	p.bound(cpu)
}

// bound makes a throttle for the current limit.
func (p *Pace) bound(cpu time.Duration) {
	switch limit := p.limit.Load(); {
	case limit <= 0:
		p.throttle = nil
	case p.throttle == nil || p.throttle.limit != limit:
		p.throttle = newThrottle(limit, time.Now(), cpu)
	}
}

// Limited reports whether there is a limit. Any goroutine may call it.
func (p *Pace) Limited() bool { return p.limit.Load() > 0 }

// Resize sets another limit. It is valid at once, even for a guest that is waiting. Any goroutine
// may call it.
func (p *Pace) Resize(limit int64) {
	p.limit.Store(limit)
	select {
	case p.resized <- struct{}{}:
	default: // there is a token already
	}
}

// busy is the least processor time since the last call that shows that a guest computes without a
// pause (store.c has the same value).
const busy = 5 * time.Millisecond

// Between makes the guest wait between two pieces of a long host call. It runs on the guest's
// thread.
func (p *Pace) Between(ctx context.Context) {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return // the check at the next epoch follows
	}
	cpu := time.Duration(t.Nano())
	p.Look(ctx, cpu, cpu-p.seen >= busy)
	p.seen = cpu
}

// Look makes the guest wait as long as its limit and the other guests require. cpu is the total
// that its thread has used. busy says that the guest has computed without a pause. Look returns
// early when ctx ends.
func (p *Pace) Look(ctx context.Context, cpu time.Duration, busy bool) {
	p.bound(cpu)
	if p.throttle != nil {
		p.hold(ctx, cpu)
	}
	if busy {
		p.turns.next(ctx, &p.turn, cpu)
	}
}

func (p *Pace) hold(ctx context.Context, cpu time.Duration) {
	now := time.Now()
	wait := p.throttle.wait(now, cpu)
	if wait <= 0 {
		return
	}
	p.turns.leave(&p.turn)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.resized:
	case <-ctx.Done():
	}
	p.held.Add(int64(time.Since(now)))
}

// Throttled returns how long the guest has waited because of its limit. Any goroutine may call it.
func (p *Pace) Throttled() time.Duration { return time.Duration(p.held.Load()) }

// End gives the guest's turn to the others. The guest does not run again.
func (p *Pace) End() { p.turns.leave(&p.turn) }
