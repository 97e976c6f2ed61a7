package host

import (
	"sync"
	"time"
)

// idle calls a function after a time in which nothing has held it. A new idle is held once.
type idle struct {
	patience time.Duration
	expire   func()

	mu      sync.Mutex
	holds   int
	stopped bool
	timer   *time.Timer // runs while nothing holds it
}

func newIdle(patience time.Duration, expire func()) *idle {
	return &idle{patience: patience, expire: expire, holds: 1}
}

func (i *idle) hold() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.holds++
	if i.timer != nil {
		i.timer.Stop() // if the call has started already, the function checks again
		i.timer = nil
	}
}

func (i *idle) release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.holds--; i.holds == 0 && !i.stopped {
		i.timer = time.AfterFunc(i.patience, i.expire)
	}
}

// stop makes sure that the function is not called any more.
func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stopped = true
	if i.timer != nil {
		i.timer.Stop()
	}
}
