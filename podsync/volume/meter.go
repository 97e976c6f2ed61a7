package volume

import (
	"context"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

const (
	// usageKept is how long a count is valid, as in a kubelet.
	usageKept = time.Minute
	// usageForgotten is the time after which a directory is forgotten if no caller asks for it.
	usageForgotten = 5 * time.Minute
	// maxCounted and countTime bound how many files of one directory are counted, because guests
	// choose their number.
	maxCounted = 200_000
	countTime  = 10 * time.Second
)

// Meter counts what directories take on disk. It counts only directories that callers ask for, one
// at a time, in the background. It counts each at most once a minute.
type Meter struct {
	count func(ctx context.Context, dir string) filetree.Usage

	mu     sync.Mutex
	known  map[string]*counted
	queue  []string      // directories to count, in this order
	news   chan struct{} // has a token when there is something in the queue
	caught chan struct{} // closed when the queue is empty
}

// counted is a directory that a caller asked for.
type counted struct {
	usage  filetree.Usage
	at     time.Time // of the count; zero before the first
	asked  time.Time
	queued bool
}

// NewMeter makes a Meter, which counts nothing before Run.
func NewMeter() *Meter {
	m := &Meter{
		count: count,
		known: map[string]*counted{}, news: make(chan struct{}, 1), caught: make(chan struct{}),
	}
	close(m.caught)
	return m
}

// count is what a directory takes, or a lower bound of that.
func count(ctx context.Context, dir string) filetree.Usage {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	taken, _ := filetree.Count(ctx, dir, maxCounted) // if there is an error, it is the part that could be counted
	return taken
}

// Run counts until ctx ends.
func (m *Meter) Run(ctx context.Context) error {
	for {
		select {
		case <-m.news:
		case <-ctx.Done():
			return nil
		}
		for dir, ok := m.next(); ok && ctx.Err() == nil; dir, ok = m.next() {
			m.note(dir, m.count(ctx, dir))
		}
	}
}

// Usage is what a directory took at its last count; ok is false before the first. If the count is
// older than a minute, the directory is counted again. Usage does not wait.
func (m *Meter) Usage(dir string) (taken filetree.Usage, ok bool) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.known[dir]
	if c == nil {
		c = &counted{}
		m.known[dir] = c
	}
	c.asked = now
	if !c.queued && now.Sub(c.at) >= usageKept {
		c.queued = true
		if len(m.queue) == 0 {
			m.caught = make(chan struct{})
		}
		m.queue = append(m.queue, dir)
		select {
		case m.news <- struct{}{}:
		default:
		}
	}
	return c.usage, !c.at.IsZero()
}

// CaughtUp waits until every directory that callers asked for is counted, or ctx ends.
func (m *Meter) CaughtUp(ctx context.Context) {
	m.mu.Lock()
	caught := m.caught
	m.mu.Unlock()
	select {
	case <-caught:
	case <-ctx.Done():
	}
}

// next is the next directory to count. It stays in the queue until note.
func (m *Meter) next() (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		return "", false
	}
	return m.queue[0], true
}

// note keeps a count, and forgets directories that no caller asks for.
func (m *Meter) note(dir string, taken filetree.Usage) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.known[dir]
	c.usage, c.at, c.queued = taken, now, false
	if m.queue = m.queue[1:]; len(m.queue) > 0 {
		return
	}
	close(m.caught)
	for dir, c := range m.known {
		if !c.queued && now.Sub(c.asked) > usageForgotten {
			delete(m.known, dir)
		}
	}
}
