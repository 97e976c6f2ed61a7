package processor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Pace decides at every epoch in which a guest runs whether the guest goes on at once. A guest may
// have several threads. Its limit is for all of them together.
type Pace struct {
	turns *Turns
	held  atomic.Int64
	limit atomic.Int64 // thousandths of a processor; 0 means no limit

	mu       sync.Mutex
	throttle *throttle // for the current limit; nil without a limit
	used     time.Duration
	threads  []*thread
	resized  chan struct{} // closed when the limit changes
}

// thread is one of a guest.
type thread struct {
	turn turn
	cpu  time.Duration // that it had used when it was last looked at
	seen time.Duration // likewise at the last call of Between; only the thread itself uses it
}

// NewPace makes the pace of a guest. limit is in thousandths of a processor; 0 means no limit.
func NewPace(turns *Turns, limit int64) *Pace {
	p := &Pace{turns: turns, resized: make(chan struct{})}
	p.limit.Store(limit)
	return p
}

// Begin is called on a thread before it runs code of the guest. number is the kernel's of the
// thread, which has used cpu so far.
func (p *Pace) Begin(number int, cpu time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.threads = append(p.threads, &thread{turn: turn{thread: number, cpu: cpu}, cpu: cpu})
	p.bound()
}

// find returns a thread of the guest, or nil. The mutex is held.
func (p *Pace) find(number int) *thread {
	for _, t := range p.threads {
		if t.turn.thread == number {
			return t
		}
	}
	return nil
}

// bound makes the throttle hold the present limit. The mutex is held.
func (p *Pace) bound() {
	switch limit := p.limit.Load(); {
	case limit <= 0:
		p.throttle = nil
	case p.throttle == nil || p.throttle.limit != limit:
		p.throttle = newThrottle(limit, time.Now(), p.used)
	}
}

// Limited reports whether there is a limit. Any goroutine may call it.
func (p *Pace) Limited() bool { return p.limit.Load() > 0 }

// Resize sets another limit. It is valid at once, even for a guest that is waiting. Any goroutine
// may call it.
func (p *Pace) Resize(limit int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit.Store(limit)
	close(p.resized)
	p.resized = make(chan struct{})
}

// busy is the processor time that a thread has used since the last look if it computes without a
// pause (store.c has the same).
const busy = 5 * time.Millisecond

// Between holds the calling thread back between the pieces of a long host call. It does nothing on
// a thread that is not the guest's.
func (p *Pace) Between(ctx context.Context) {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now) != nil {
		return // the check at the next epoch follows
	}
	number := unix.Gettid()
	p.mu.Lock()
	t := p.find(number)
	p.mu.Unlock()
	if t == nil {
		return
	}
	cpu := time.Duration(now.Nano())
	p.Look(ctx, number, cpu, cpu-t.seen >= busy)
	t.seen = cpu
}

// Look holds a thread back for as long as the guest's limit and the other guests ask for. cpu is
// what the thread has used in all. busy says that it has computed without a pause. Look is called
// on that thread, and returns early when ctx ends.
func (p *Pace) Look(ctx context.Context, number int, cpu time.Duration, busy bool) {
	t, wait, resized := p.spend(number, cpu)
	if t == nil {
		return
	}
	if wait > 0 {
		p.hold(ctx, t, wait, resized)
	}
	if busy {
		p.turns.next(ctx, &t.turn, cpu)
	}
}

// spend counts what a thread has used, and returns for how long it must not run.
func (p *Pace) spend(number int, cpu time.Duration) (t *thread, wait time.Duration, resized <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t = p.find(number); t == nil {
		return nil, 0, nil
	}
	p.bound()
	p.used += cpu - t.cpu
	t.cpu = cpu
	if p.throttle != nil {
		wait = p.throttle.wait(time.Now(), p.used)
	}
	return t, wait, p.resized
}

func (p *Pace) hold(ctx context.Context, t *thread, wait time.Duration, resized <-chan struct{}) {
	began := time.Now()
	p.turns.leave(&t.turn)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-resized:
	case <-ctx.Done():
	}
	p.held.Add(int64(time.Since(began)))
}

// Throttled returns for how long the guest's limit has held its threads back, added up. Any
// goroutine may call it.
func (p *Pace) Throttled() time.Duration { return time.Duration(p.held.Load()) }

// End gives a thread's turn to the others. The thread, which has used cpu in all, runs no more code
// of the guest.
func (p *Pace) End(number int, cpu time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, t := range p.threads {
		if t.turn.thread != number {
			continue
		}
		p.used += cpu - t.cpu
		p.turns.leave(&t.turn)
		p.threads = append(p.threads[:i], p.threads[i+1:]...)
		return
	}
}
