package instance

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// queue has what was posted, and calls that were made while another goroutine has the turn.
type queue struct {
	mu     sync.Mutex
	posted []func()
	calls  []*invocation
	closed bool
	wake   chan struct{}
}

// killing says that the instance has to end, and why.
type killing struct {
	once sync.Once
	why  atomic.Pointer[error]
	done chan struct{} // closed if it has
}

// Post has f done in the component's turn, soon. After Close it is not done. Any goroutine may call
// it.
func (x *Instance) Post(f func()) {
	q := &x.queue
	q.mu.Lock()
	if !q.closed {
		q.posted = append(q.posted, f)
	}
	q.mu.Unlock()
	q.ring()
}

// postCall has a call begin in the component's turn.
func (x *Instance) postCall(i *invocation) {
	x.queue.mu.Lock()
	x.queue.calls = append(x.queue.calls, i)
	x.queue.mu.Unlock()
	x.queue.ring()
}

func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// runPosted does what was posted, and reports whether there was something. No task runs meanwhile.
func (x *Instance) runPosted() bool {
	q := &x.queue
	q.mu.Lock()
	posted, calls := q.posted, q.calls
	q.posted, q.calls = nil, nil
	q.mu.Unlock()
	for _, f := range posted {
		f()
		x.follow()
	}
	for _, i := range calls {
		i.begin(x)
	}
	return len(posted)+len(calls) > 0
}

// Kill ends the instance soon, with a fault. Tasks that wait hear it; guest code that runs has to
// be interrupted by the engine. Any goroutine may call it.
func (x *Instance) Kill(why error) {
	x.kill.once.Do(func() {
		x.kill.why.Store(&why)
		close(x.kill.done)
	})
}

// poll unwinds if the instance was killed.
func (x *Instance) poll() {
	if why := x.kill.why.Load(); why != nil {
		panic(&canon.Trap{Err: *why})
	}
}

var (
	errDeadlock    = errors.New("deadlock: no task of the component can make progress")
	errInterleaved = errors.New("a task could go on, but waits below another one on the stack of its component instance")
)

// drive runs tasks until something is so. The caller has the turn.
func (x *Instance) drive(ctx context.Context, until func() bool) {
	for !until() {
		x.poll()
		x.streak = 0
		if x.runPosted() {
			continue
		}
		if t := x.nextReady(); t != nil {
			t.task.in.enterFrom(nil)
			x.resume(t, false)
			t.task.in.leaveTo(nil)
			x.follow()
			continue
		}
		if !x.mayGoOn() {
			panic(&canon.Trap{Err: x.stuck()})
		}
		select {
		case <-x.queue.wake:
		case <-x.kill.done:
		case <-ctx.Done():
			x.Kill(context.Cause(ctx))
		}
	}
}

// mayGoOn reports whether something may come from the host.
func (x *Instance) mayGoOn() bool {
	x.queue.mu.Lock()
	defer x.queue.mu.Unlock()
	return x.later > 0 || x.streams > 0 || len(x.queue.posted)+len(x.queue.calls) > 0
}

// nextReady returns the thread that waits longest of those that are ready.
func (x *Instance) nextReady() *thread {
	for _, t := range x.waiting {
		if t.runnable() && t.ready() {
			return t
		}
	}
	return nil
}

func (x *Instance) stuck() error {
	for _, t := range x.waiting {
		if t.ready() {
			return errInterleaved
		}
	}
	return errDeadlock
}

// Close ends the instance: it unwinds what waits, and returns when all of its goroutines have
// ended. If another goroutine has the turn, Close waits for it, so the engine must be interrupted.
// Close must not be called in the turn.
func (x *Instance) Close() {
	x.Kill(ErrClosed)
	x.turn <- struct{}{}
	x.queue.mu.Lock()
	closed := x.queue.closed
	x.queue.closed, x.queue.posted = true, nil
	x.queue.mu.Unlock()
	if !closed {
		x.unwind()
		for _, c := range x.components {
			if c != nil && c.store != nil {
				c.store.Close()
			}
		}
	}
	<-x.turn
}

// unwind ends what waits, from the top of each stack, and all goroutines.
func (x *Instance) unwind() {
	x.fail(&canon.Trap{Err: *x.kill.why.Load()})
	x.fiber = x.root
	for i := 0; i < len(x.waiting); {
		t := x.waiting[i]
		if t.fiber == nil || !t.runnable() {
			i++
			continue
		}
		x.stopWaiting(t)
		t.resumer, x.current = x.root, t
		t.fiber.inbox <- message{end: true}
		x.root.await()
		i = 0
	}
	x.waiting = nil
	for _, f := range x.idle {
		f.inbox <- message{end: true}
	}
	x.idle = nil
	x.goroutines.Wait()
}
