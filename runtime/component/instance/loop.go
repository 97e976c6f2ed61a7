package instance

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// The loop runs tasks that are ready, and waits for the host. It begins at home: on the goroutine
// that has the turn. There it runs tasks on its own stack, as most of them soon wait without one.
// Where a task waits within the guest, and is not the only one, the stack cannot go back to the
// loop: the loop goes to another fiber. When what is at home has ended, the loop comes back.

var (
	errDeadlock    = errors.New("deadlock: no task of the component can make progress")
	errInterleaved = errors.New("a task could go on, but waits below another one on the stack of its component instance")
)

// drive runs the loop until something is so, or until the loop has gone to another fiber.
func (x *Instance) drive(until func() bool) {
	self := x.fiber
	for !until() {
		x.poll()
		if x.fault != nil { // another task's
			panic(&canon.Trap{Err: x.fault})
		}
		x.streak = 0
		x.follow() // an operation, too, that waits
		if x.runPosted() {
			continue
		}
		if x.beginCall() {
			if x.loop != self {
				return
			}
			continue
		}
		if t := x.nextReady(); t != nil {
			t.task.in.enterFrom(nil)
			x.goOn(t, t.task.in)
			if x.loop != self {
				return
			}
			x.follow()
			continue
		}
		x.waitForHost()
	}
}

// waitForHost waits until something was posted, or the instance was killed.
func (x *Instance) waitForHost() {
	if !x.mayGoOn() {
		panic(&canon.Trap{Err: x.stuck()})
	}
	<-x.queue.wake
}

// waitAlone has the only task there is wait within the guest, on the stack of the loop: nothing but
// the host can do something meanwhile. It reports whether the task can go on. It cannot yet where
// another call is to begin.
func (x *Instance) waitAlone(t *thread) bool {
	in := t.task.in
	in.leaveTo(nil)
	x.current = nil
	x.alone = true
	defer func() { x.alone = false }()
	for {
		x.poll()
		x.follow()
		if x.runPosted() {
			continue
		}
		if t.ready() || x.hasCalls() {
			break
		}
		x.waitForHost()
	}
	in.enterFrom(nil)
	x.current = t
	return t.ready()
}

func (x *Instance) hasCalls() bool {
	x.queue.mu.Lock()
	defer x.queue.mu.Unlock()
	return x.queue.calls.len() > 0
}

// goOn resumes a thread of a component instance, which the host has entered, and leaves it. The
// thread does not run here if its code has to run on another fiber, above that of a thread which
// waits: where it waits, too, the loop would take that for its end.
func (x *Instance) goOn(t *thread, in *component) {
	if t.next == nil || in.inside != nil && in.inside != x.fiber {
		x.resume(t, false)
		in.leaveTo(nil)
		return
	}
	self := x.fiber
	next := t.next
	x.stopWaiting(t)
	t.next, t.resumer, x.current = nil, self, t
	fault := x.catch(func() { next(t.task, false) })
	switch {
	case t.resumer == self: // it has not waited on this stack
		x.current = nil
		in.leaveTo(nil)
	case self == x.home:
		x.comeHome(answer{t.resumer, fault})
	default:
		self.last = answer{t.resumer, fault}
		return
	}
	if fault != nil {
		panic(fault)
	}
}

// moveLoop has the loop go on elsewhere, as the thread waits on its stack: it returns who has to
// get which message.
func (x *Instance) moveLoop(t *thread) (*fiber, message) {
	f := x.idleFiber()
	t.task.in.leaveTo(nil)
	x.loop, x.current = f, nil
	return f, message{job: func() answer { return x.driveAway(f) }}
}

// driveAway is the loop on a fiber that is not home.
func (x *Instance) driveAway(self *fiber) answer {
	fault := x.catch(func() { x.drive(func() bool { return x.atHome }) })
	switch {
	case fault != nil:
		x.unwindParked() // what is at home, too
	case x.loop != self:
		return self.last
	}
	return answer{to: x.home}
}

// comeHome gives the turn to another fiber, and waits for the loop.
func (x *Instance) comeHome(a answer) {
	x.atHome = true
	a.to.inbox <- message{fault: a.fault}
	x.home.await()
	x.atHome = false
	x.loop, x.current = x.home, nil
}

// mayGoOn reports whether something may come from the host.
func (x *Instance) mayGoOn() bool {
	x.queue.mu.Lock()
	defer x.queue.mu.Unlock()
	return x.later > 0 || x.streams > 0 || x.queue.posted.len()+x.queue.calls.len() > 0
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
