package instance

import (
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// queue has what was posted, and calls that were made while another goroutine has the turn.
type queue struct {
	mu     sync.Mutex
	posted fifo[func()]
	calls  fifo[*invocation]
	closed bool
	wake   chan struct{}
}

// Post has f done in the component's turn, soon. After Close it is not done. Any goroutine may call
// it.
func (x *Instance) Post(f func()) {
	q := &x.queue
	q.mu.Lock()
	if !q.closed {
		q.posted.push(f)
	}
	q.mu.Unlock()
	q.ring()
}

// postCall has a call begin in the component's turn.
func (x *Instance) postCall(i *invocation) {
	x.queue.mu.Lock()
	x.queue.calls.push(i)
	x.queue.mu.Unlock()
	x.queue.ring()
}

func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// runPosted does the first thing that was posted, and reports whether there was one. No task runs
// meanwhile.
func (x *Instance) runPosted() bool {
	q := &x.queue
	q.mu.Lock()
	f, ok := q.posted.pop()
	q.mu.Unlock()
	if !ok {
		return false
	}
	f()
	x.follow()
	return true
}

// beginCall begins the first call that was made while another goroutine has the turn, and reports
// whether there was one.
func (x *Instance) beginCall() bool {
	q := &x.queue
	q.mu.Lock()
	i, ok := q.calls.pop()
	q.mu.Unlock()
	if !ok {
		return false
	}
	i.begin(x)
	return true
}

// Kill ends the instance soon, with a fault. Tasks that wait hear it; guest code that runs has to
// be interrupted by the engine. Any goroutine may call it.
func (x *Instance) Kill(why error) {
	if x.kill.CompareAndSwap(nil, &why) {
		x.queue.ring()
	}
}

// poll unwinds if the instance was killed.
func (x *Instance) poll() {
	if why := x.kill.Load(); why != nil {
		panic(&canon.Trap{Err: *why})
	}
}

// Close ends the instance: it unwinds what waits, and returns when all of its goroutines have
// ended. If another goroutine has the turn, Close waits for it, so the engine must be interrupted.
// Close must not be called in the turn.
func (x *Instance) Close() {
	x.Kill(ErrClosed)
	x.turn <- struct{}{}
	x.queue.mu.Lock()
	closed := x.queue.closed
	x.queue.closed, x.queue.posted = true, fifo[func()]{}
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

// unwind ends what waits, and all goroutines.
func (x *Instance) unwind() {
	x.fail(&canon.Trap{Err: *x.kill.Load()})
	x.fiber = x.home
	x.unwindParked()
	x.waiting = nil
	for _, f := range x.idle {
		f.inbox <- message{end: true}
	}
	x.idle = nil
	x.goroutines.Wait()
}

// unwindParked ends the threads that wait, from the top of each stack. They have no code to run
// any more.
func (x *Instance) unwindParked() {
	self := x.fiber
	for i := 0; i < len(x.waiting); {
		t := x.waiting[i]
		if t.fiber == nil || !t.runnable() {
			i++
			continue
		}
		x.stopWaiting(t)
		t.resumer, x.current = self, t
		t.fiber.inbox <- message{end: true}
		self.await()
		i = 0
	}
}
