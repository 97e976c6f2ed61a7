package pool

import (
	"context"
	"sync"
)

// tasks are the goroutines of a pool, which end when it is closed.
type tasks struct {
	launch func(func(context.Context)) // in a goroutine; the context ends with close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

func newTasks(ctx context.Context) *tasks {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t := &tasks{cancel: cancel}
	t.launch = func(f func(context.Context)) { t.work.Go(func() { f(base) }) }
	return t
}

// start starts a task, unless the pool is closed.
func (t *tasks) start(f func(context.Context)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	t.launch(f)
	return nil
}

// close ends all tasks, and waits for them.
func (t *tasks) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.work.Wait()
}
