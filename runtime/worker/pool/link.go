package pool

import (
	"context"
	"sync"
)

// link is the state of the connection to a worker: the number of the Watch from which the agent
// knows all runs of the worker, or 0 if there is no Watch.
type link struct {
	mu      sync.Mutex
	watch   uint64
	lost    error         // the reason why there will be no more Watch
	changed chan struct{} // closed at the next change
}

func newLink() *link { return &link{changed: make(chan struct{})} }

func (l *link) set(watch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watch != watch {
		l.watch = watch
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// lose notes that there will be no more Watch.
func (l *link) lose(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch, l.lost = 0, err
	close(l.changed)
	l.changed = make(chan struct{})
}

// now is the number of the Watch, and a channel that is closed at the next change.
func (l *link) now() (watch uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watch, l.changed
}

// current waits for a Watch with a number above the given one, and returns its number.
func (l *link) current(ctx context.Context, above uint64) (uint64, error) {
	var found uint64
	err := l.await(ctx, func(watch uint64) bool {
		found = watch
		return watch > above
	})
	return found, err
}

// await waits until wanted returns true for the number, or until there will be no more Watch.
func (l *link) await(ctx context.Context, wanted func(watch uint64) bool) error {
	for {
		l.mu.Lock()
		watch, lost, changed := l.watch, l.lost, l.changed
		l.mu.Unlock()
		switch {
		case wanted(watch):
			return nil
		case lost != nil:
			return lost
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
