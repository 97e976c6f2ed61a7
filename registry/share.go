package registry

import (
	"context"
	"sync"
)

// calls lets callers who want the same thing at the same time share one call. Unlike in
// singleflight, a call belongs to all callers who wait for it: it is cancelled only when the last
// of them gives up.
type calls[T any] struct {
	mu      sync.Mutex
	running map[string]*call[T]
}

type call[T any] struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{}
	// value and err are set before done is closed.
	value T
	err   error
}

// do returns the result of a running call for key, or else calls fn. fn's context has the values of
// the first caller's context. The last caller that gives up waits until fn has returned, so some
// caller always waits for fn.
func (c *calls[T]) do(ctx context.Context, key string, fn func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	k := c.join(ctx, key, fn)
	select {
	case <-k.done:
		return k.value, k.err
	case <-ctx.Done():
	}
	if c.leave(key, k) {
		<-k.done
	}
	return none, ctx.Err()
}

func (c *calls[T]) join(ctx context.Context, key string, fn func(context.Context) (T, error)) *call[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.running[key]; k != nil {
		k.waiting++
		return k
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k := &call[T]{waiting: 1, cancel: cancel, done: make(chan struct{})}
	if c.running == nil {
		c.running = make(map[string]*call[T])
	}
	c.running[key] = k
	go func() {
		defer close(k.done)
		defer cancel()
		k.value, k.err = fn(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.forget(key, k)
	}()
	return k
}

// leave removes a caller from the call, and reports whether it was the last one. Then the call is
// cancelled, and later callers cannot join it.
func (c *calls[T]) leave(key string, k *call[T]) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k.waiting--
	if k.waiting > 0 {
		return false
	}
	c.forget(key, k)
	k.cancel()
	return true
}

func (c *calls[T]) forget(key string, k *call[T]) {
	if c.running[key] == k {
		delete(c.running, key)
	}
}

// locks are locks by key.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the lock is released
}

// take waits until the lock of key is free, and holds it until release is called.
func (l *locks) take(ctx context.Context, key string) (release func(), err error) {
	for {
		l.mu.Lock()
		held := l.held[key]
		if held == nil {
			break
		}
		l.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[string]chan struct{})
	}
	own := make(chan struct{})
	l.held[key] = own
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.held, key)
		close(own)
	}, nil
}
