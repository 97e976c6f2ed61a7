package wasmtime

import (
	"context"
	"sync/atomic"
	"time"
)

// pace decides at every epoch in which a guest runs whether it goes on at once.
type pace struct {
	turns    *turns
	turn     turn
	throttle *throttle // nil without a limit
	held     atomic.Int64
}

// begin is called on the guest's thread, which has used cpu so far.
func (p *pace) begin(limit int64, thread int, cpu time.Duration) {
	p.turn.thread, p.turn.cpu = thread, cpu
	if limit > 0 {
		p.throttle = newThrottle(limit, time.Now(), cpu)
	}
}

// look holds the guest back for as long as its limit and the others ask for. busy says that the guest has
// computed without a pause. It returns early when ctx ends.
func (p *pace) look(ctx context.Context, cpu time.Duration, busy bool) {
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
	case <-ctx.Done():
	}
	p.held.Add(int64(time.Since(now)))
}

// throttled is for how long the guest's limit has held it back.
func (p *pace) throttled() time.Duration { return time.Duration(p.held.Load()) }

// end leaves room for the others.
func (p *pace) end() { p.turns.leave(&p.turn) }
