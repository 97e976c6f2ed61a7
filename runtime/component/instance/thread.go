package instance

import (
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// thread is a thread of the component model: what runs, or waits, for a task.
type thread struct {
	task    *task
	index   uint32
	storage [2]uint64
	// inline says that the thread runs on the fiber of its caller, who waits for it anyway.
	inline bool

	// ready, of a thread that waits, reports whether it may go on.
	ready       func() bool
	cancellable bool
	// next is what the thread does when it goes on, if it waits without a stack.
	next func(t *task, cancelled bool)
	// fiber is the one that the thread waits on, otherwise.
	fiber *fiber
	// resumer is the fiber that runs again when the thread waits or ends.
	resumer *fiber
}

// runnable reports whether a thread that waits can go on: whether nothing else is above it on its
// stack.
func (t *thread) runnable() bool {
	return t.next != nil || t.fiber != nil && t.fiber.active == 0 && t.fiber.parked[len(t.fiber.parked)-1] == t
}

func (t *thread) waiting() bool { return t.ready != nil }

// startWaiting adds the thread to those that the scheduler looks at.
func (x *Instance) startWaiting(t *thread, ready func() bool, cancellable bool) {
	t.ready, t.cancellable = ready, cancellable
	x.waiting = append(x.waiting, t)
}

func (x *Instance) stopWaiting(t *thread) {
	t.ready = nil
	if i := slices.Index(x.waiting, t); i >= 0 {
		x.waiting = slices.Delete(x.waiting, i, i+1)
	}
}

// resume runs a thread until it waits or ends.
func (x *Instance) resume(t *thread, cancelled bool) {
	x.stopWaiting(t)
	self, before := x.fiber, x.current
	t.resumer = self
	x.current = t
	if next := t.next; next != nil {
		t.next = nil
		f := x.idleFiber()
		f.inbox <- message{job: func() answer {
			fault := x.catch(func() { next(t.task, cancelled) })
			return answer{t.resumer, fault}
		}}
	} else {
		t.fiber.inbox <- message{cancelled: cancelled}
	}
	defer func() { x.current = before }()
	self.expect()
}

// waitUntil has the current thread wait until ready, or until it is cancelled.
func (x *Instance) waitUntil(ready func() bool, cancellable bool) (cancelled bool) {
	t := x.current
	if t.task.deliverPendingCancel(cancellable) {
		return true
	}
	if t.inline {
		x.waitInline(t, ready)
		return false
	}
	if ready() && x.eagerly() {
		return false
	}
	x.startWaiting(t, ready, cancellable)
	return x.park(t)
}

// yield lets others run.
func (x *Instance) yield(cancellable bool) (cancelled bool) {
	t := x.current
	if t.task.deliverPendingCancel(cancellable) {
		return true
	}
	if t.inline {
		if other := t.task.in.readyThread(t); other != nil {
			x.resume(other, false)
		}
		return false
	}
	x.startWaiting(t, always, cancellable)
	return x.park(t)
}

func always() bool { return true }

// eagerly reports whether a wait may be answered at once. Now and then it may not, so that others
// get a turn.
func (x *Instance) eagerly() bool {
	x.streak++
	if x.streak < eager {
		return true
	}
	x.streak = 0
	return false
}

// park hands over to who resumed the thread, until someone resumes it again.
func (x *Instance) park(t *thread) (cancelled bool) {
	self := x.fiber
	if self.pending > 0 {
		canon.Trapf("two calls of a component would wait on one stack, of which the lower one may go on first: " +
			"the component needs stacks of its own for its threads, which this host does not support")
	}
	to, m := t.resumer, message{}
	if to == self {
		if x.tasks == 1 && x.waitAlone(t) {
			x.stopWaiting(t)
			return false
		}
		to, m = x.moveLoop(t)
	}
	t.fiber = self
	self.parked = append(self.parked, t)
	active := self.active
	self.active = 0
	to.inbox <- m
	m = self.await()
	self.active = active
	self.parked = self.parked[:len(self.parked)-1]
	t.fiber = nil
	if m.end {
		panic(&canon.Trap{Err: x.fault})
	}
	return m.cancelled
}

// waitInline waits on behalf of a task whose function may not wait: as long as other threads of
// the component instance are ready, they run; they may bring about what the task waits for.
func (x *Instance) waitInline(t *thread, ready func() bool) {
	for !ready() {
		other := t.task.in.readyThread(t)
		if other == nil {
			canon.Trapf("cannot block a synchronous task before returning: the function is not async, and the guest waits in it")
		}
		x.resume(other, false)
	}
}

// readyThread returns a thread of the component instance that can run while another one waits.
func (c *component) readyThread(waits *thread) *thread {
	for _, t := range c.threads.elements {
		if t != nil && t != waits && t != c.exclusive && t.waiting() && t.runnable() && t.ready() {
			return t
		}
	}
	return nil
}
