package wasi

import (
	"context"
	"time"
)

// pace is what a call that takes long goes by: between two pieces of its work it sees whether the guest was killed, and lets
// Config.Pace hold the guest back.
type pace struct {
	hold func(ctx context.Context)
	held time.Time // when it was asked last
}

// holdEvery is how often a long call asks, by the wall clock.
const holdEvery = 5 * time.Millisecond

// look is ErrKilled for a guest that was killed. What a call does between two of them takes less than 10 ms of work.
func (p *pace) look(ctx context.Context) error {
	if p.hold != nil {
		if now := time.Now(); now.Sub(p.held) >= holdEvery {
			p.hold(ctx)
			p.held = time.Now()
		}
	}
	if ctx.Err() != nil {
		return ErrKilled
	}
	return nil
}
