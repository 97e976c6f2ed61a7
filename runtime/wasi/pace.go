package wasi

import (
	"context"
	"time"
)

// pace is called between two pieces of a long call's work.
type pace struct {
	hold func(ctx context.Context)
	held time.Time // time of the last call of Config.Pace
}

// holdEvery is how often a long call does so, by the wall clock.
const holdEvery = 5 * time.Millisecond

// look returns ErrKilled for a guest that was killed, and may make the guest wait. A call works
// less than 10 ms between two calls of look.
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
