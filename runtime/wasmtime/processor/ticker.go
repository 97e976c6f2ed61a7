package processor

import (
	"sync"
	"time"
)

// Epoch is how often running code checks its guest's kill switch.
const Epoch = 10 * time.Millisecond

// Ticker calls a function at every epoch while guests run, and costs nothing while no guest runs.
type Ticker struct {
	tick func(now time.Time)

	mu    sync.Mutex
	users int
	stop  chan struct{} // stops the goroutine that ticks; the goroutine exists while there are users
	loops sync.WaitGroup
}

// NewTicker makes a Ticker that calls tick.
func NewTicker(tick func(now time.Time)) *Ticker { return &Ticker{tick: tick} }

// Acquire makes the Ticker tick until the matching Release.
func (t *Ticker) Acquire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users++; t.users > 1 {
		return
	}
	stop := make(chan struct{})
	t.stop = stop
	t.loops.Go(func() { t.loop(stop) })
}

// Release reverts Acquire. It does not wait for a running tick.
func (t *Ticker) Release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users--; t.users == 0 {
		close(t.stop)
	}
}

// Wait returns when no goroutine ticks. There must be no users.
func (t *Ticker) Wait() { t.loops.Wait() }

func (t *Ticker) loop(stop <-chan struct{}) {
	clock := time.NewTicker(Epoch)
	defer clock.Stop()
	for {
		select {
		case now := <-clock.C:
			t.tick(now)
		case <-stop:
			return
		}
	}
}
