package processor

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Pace decides at every epoch in which a guest runs whether the guest goes on at once.
type Pace struct {
	turns    *Turns
	turn     turn
	throttle *throttle // of the limit that counts; nil without one
	held     atomic.Int64
	seen     time.Duration // what the thread had used at the last call of Between

	limit   atomic.Int64  // thousandths of a processor, 0 for none
	resized chan struct{} // holds a token when the limit has changed
}

// NewPace makes the pace of a guest. limit is in thousandths of a processor, 0 for none.
func NewPace(turns *Turns, limit int64) *Pace {
	p := &Pace{turns: turns, resized: make(chan struct{}, 1)}
	p.limit.Store(limit)
	return p
}

// Begin is called on the guest's thread before the guest runs. thread is the kernel's number of it;
// it has used cpu so far.
func (p *Pace) Begin(thread int, cpu time.Duration) {
	p.turn.thread, p.turn.cpu = thread, cpu
	p.bound(cpu)
}

// bound makes the throttle hold the present limit.
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

// Resize sets another limit. It counts at once, also for a guest that is being held back. Any
// goroutine may call it.
func (p *Pace) Resize(limit int64) {
	p.limit.Store(limit)
	select {
	case p.resized <- struct{}{}:
	default: // one is waiting already
	}
}

// busy is the processor time that a guest has used since the last look if it computes without a
// pause (store.c has the same).
const busy = 5 * time.Millisecond

// Between holds the guest back between the pieces of a long host call, on the guest's thread.
func (p *Pace) Between(ctx context.Context) {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return // the next epoch sees it
	}
	cpu := time.Duration(t.Nano())
	p.Look(ctx, cpu, cpu-p.seen >= busy)
	p.seen = cpu
}

// Look holds the guest back for as long as its limit and the other guests ask for. cpu is what its
// thread has used in all. busy says that the guest has computed without a pause. Look returns early
// when ctx ends.
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

// Throttled returns for how long the guest's limit has held it back. Any goroutine may call it.
func (p *Pace) Throttled() time.Duration { return time.Duration(p.held.Load()) }

// End gives the guest's turn to the others. The guest runs no more.
func (p *Pace) End() { p.turns.leave(&p.turn) }
