package wasmtime

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// pace decides at every epoch in which a guest runs whether it goes on at once.
type pace struct {
	turns    *turns
	turn     turn
	throttle *throttle // of the limit that counts; nil without one
	held     atomic.Int64
	seen     time.Duration // what the thread had used when it was looked at between pieces of a host call

	limit   atomic.Int64  // thousandths of a processor, 0 for none
	resized chan struct{} // holds a token when the limit is another
}

func newPace(turns *turns, limit int64) *pace {
	p := &pace{turns: turns, resized: make(chan struct{}, 1)}
	p.limit.Store(limit)
	return p
}

// begin is called on the guest's thread, which has used cpu so far.
func (p *pace) begin(thread int, cpu time.Duration) {
	p.turn.thread, p.turn.cpu = thread, cpu
	p.bound(cpu)
}

// bound has the throttle hold the limit.
func (p *pace) bound(cpu time.Duration) {
	switch limit := p.limit.Load(); {
	case limit <= 0:
		p.throttle = nil
	case p.throttle == nil || p.throttle.limit != limit:
		p.throttle = newThrottle(limit, time.Now(), cpu)
	}
}

// resize sets another limit, which counts at once, also for a guest that is being held back. Any goroutine may call it.
func (p *pace) resize(limit int64) {
	p.limit.Store(limit)
	select {
	case p.resized <- struct{}{}:
	default: // one is waiting already
	}
}

// busy is the processor time that a guest has used since the last look if it computes without a pause (store.c has the same).
const busy = 5 * time.Millisecond

// between holds the guest back between the pieces of a long host call, on the guest's thread.
func (p *pace) between(ctx context.Context) {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return // the next epoch sees it
	}
	cpu := time.Duration(t.Nano())
	p.look(ctx, cpu, cpu-p.seen >= busy)
	p.seen = cpu
}

// look holds the guest back for as long as its limit and the others ask for. busy says that the guest has
// computed without a pause. It returns early when ctx ends.
func (p *pace) look(ctx context.Context, cpu time.Duration, busy bool) {
	p.bound(cpu)
	if p.throttle != nil {
		p.hold(ctx, cpu)
	}
	if busy {
		p.turns.next(ctx, &p.turn, cpu)
	}
}

func (p *pace) hold(ctx context.Context, cpu time.Duration) {
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

// throttled is for how long the guest's limit has held it back.
func (p *pace) throttled() time.Duration { return time.Duration(p.held.Load()) }

// end leaves room for the others.
func (p *pace) end() { p.turns.leave(&p.turn) }
