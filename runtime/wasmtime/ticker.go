package wasmtime

import (
	"sync"
	"time"
)

// epoch is how often code that runs looks at its guest's kill switch.
const epoch = 10 * time.Millisecond

// ticker moves the engine's epoch on while guests run, and costs nothing while none does.
type ticker struct {
	tick func(now time.Time)

	mu    sync.Mutex
	users int
	stop  chan struct{} // of the goroutine that ticks, while there are users
	loops sync.WaitGroup
}

func (t *ticker) acquire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users++; t.users > 1 {
		return
	}
	stop := make(chan struct{})
	t.stop = stop
	t.loops.Go(func() { t.loop(stop) })
}

func (t *ticker) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users--; t.users == 0 {
		close(t.stop)
	}
}

// wait returns when no goroutine ticks. There must be no users left.
func (t *ticker) wait() { t.loops.Wait() }

func (t *ticker) loop(stop <-chan struct{}) {
	clock := time.NewTicker(epoch)
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
