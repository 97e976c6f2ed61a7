package objects

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// cache keeps objects of one kind. It has no goroutine of its own, because callers do the reads.
type cache[T any] struct {
	read      func(ctx context.Context, namespace, name string) (*T, error)
	immutable func(*T) bool

	mu      sync.Mutex
	entries map[types.NamespacedName]*entry[T]
	swept   time.Time
}

// entry is one object.
type entry[T any] struct {
	last  *reading[T] // the last reading that may be kept
	going *reading[T] // the reading that is under way
	used  time.Time
}

// reading is one read of an object.
type reading[T any] struct {
	begun  time.Time
	done   chan struct{}
	shared bool // the result may be shared: it is not an error of the reader's context
	object *T
	err    error
}

// get returns the result of a read. If fresh is set, the read began after the call. Otherwise it
// may have begun a short time before.
func (c *cache[T]) get(ctx context.Context, namespace, name string, fresh bool) (*T, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	since := time.Now()
	if !fresh {
		since = since.Add(-kept)
	}
	for {
		going, mine, found := c.look(key, since, fresh)
		switch {
		case found != nil:
			return found.object, found.err
		case mine:
			going.object, going.err = c.readFor(ctx, namespace, name, fresh)
			going.shared = ctx.Err() == nil
			c.finish(key, going)
			return going.object, going.err
		}
		select {
		case <-going.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if going.shared && !going.begun.Before(since) {
			return going.object, going.err
		}
	}
}

// readFor reads an object. A fresh read may be for a new pod, so it is patient.
func (c *cache[T]) readFor(ctx context.Context, namespace, name string, fresh bool) (object *T, err error) {
	if !fresh {
		return c.read(ctx, namespace, name)
	}
	err = Patiently(ctx, func() (err error) {
		object, err = c.read(ctx, namespace, name)
		return err
	})
	return object, err
}

// look returns a reading that is fresh enough, or one to wait for, or one that the caller must do.
func (c *cache[T]) look(key types.NamespacedName, since time.Time, fresh bool) (going *reading[T], mine bool, found *reading[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.sweep(now)
	e := c.entries[key]
	if e == nil {
		if c.entries == nil {
			c.entries = map[types.NamespacedName]*entry[T]{}
		}
		e = &entry[T]{}
		c.entries[key] = e
	}
	e.used = now
	if last := e.last; last != nil && (!last.begun.Before(since) || !fresh && c.fixed(last)) {
		return nil, false, last
	}
	if e.going != nil {
		return e.going, false, nil
	}
	e.going = &reading[T]{begun: now, done: make(chan struct{})}
	return e.going, true, nil
}

func (c *cache[T]) finish(key types.NamespacedName, r *reading[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	e.going = nil
	if r.shared && (r.err == nil || apierrors.IsNotFound(r.err)) {
		e.last = r
	}
	close(r.done)
}

// fixed reports whether an object can never change.
func (c *cache[T]) fixed(r *reading[T]) bool { return r.err == nil && c.immutable(r.object) }

// sweep forgets objects that no caller asked for recently.
func (c *cache[T]) sweep(now time.Time) {
	if now.Sub(c.swept) < kept {
		return
	}
	c.swept = now
	for key, e := range c.entries {
		keep := kept
		if e.last != nil && c.fixed(e.last) {
			keep = idle
		}
		if e.going == nil && now.Sub(e.used) > keep {
			delete(c.entries, key)
		}
	}
}
