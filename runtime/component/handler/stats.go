package handler

import (
	"sync/atomic"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// counts are what a pool has done.
type counts struct {
	cold, warm, traps, memory, timeouts atomic.Uint64
}

func (c *counts) fault(cause Cause) {
	switch cause {
	case Trapped:
		c.traps.Add(1)
	case NoMemory:
		c.memory.Add(1)
	case TimedOut:
		c.timeouts.Add(1)
	case Stopped:
	}
}

// AddTo adds what the pool knows to the figures of its server.
func (p *Pool) AddTo(s *runtime.HTTPStats) {
	p.mu.Lock()
	s.Queued, s.Instances = int64(len(p.waiting)), int64(len(p.members))
	p.mu.Unlock()
	s.Cold, s.Warm = p.counts.cold.Load(), p.counts.warm.Load()
	s.Traps, s.Memory, s.Timeouts = p.counts.traps.Load(), p.counts.memory.Load(), p.counts.timeouts.Load()
}
