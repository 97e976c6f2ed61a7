package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
)

// caller is who called a function: it gives the arguments and takes the result.
type caller interface {
	// start moves the arguments to their places.
	start(args canon.Place)
	// resolve takes the result, or hears that there is none as the call was cancelled.
	resolve(result canon.Value, cancelled bool)
}

type taskState uint8

const (
	taskInitial taskState = iota
	taskStarted
	taskPendingCancel
	taskCancelDelivered
	taskResolved
)

// task is a call of a lifted function.
type task struct {
	fn      *link.Func
	in      *component
	caller  caller
	state   taskState
	borrows int
	thread  thread
	side    side
	frame   canon.Frame
	set     *waitableSet // that the task waits for without a stack, or nil
	flat    *values      // apart, as an engine may want an object without pointers
}

func (x *Instance) newTask(fn *link.Func, in *component, c caller) *task {
	if x.tasks == maxTasks {
		canon.Trapf("more than %d calls of components have not ended", maxTasks)
	}
	x.tasks++
	t := &task{fn: fn, in: in, caller: c, flat: x.takeFlat()}
	t.side = side{in: in, options: fn.Options, task: t}
	t.thread.task = t
	return t
}

// takeFlat returns values that are not in use.
func (x *Instance) takeFlat() *values {
	n := len(x.flats)
	if n == 0 {
		return new(values)
	}
	v := x.flats[n-1]
	x.flats = x.flats[:n-1]
	*v = values{}
	return v
}

// giveFlat keeps values of a task that has ended for the next one.
func (x *Instance) giveFlat(v *values) {
	if len(x.flats) < idleValues {
		x.flats = append(x.flats, v)
	}
}

// needsExclusive reports whether no other call that needs this may run core code of the component
// instance at the same time.
func (t *task) needsExclusive() bool {
	return !t.fn.Options.Async || t.fn.Options.Callback != link.None
}

func (t *task) hasBackpressure() bool {
	return t.in.backpressure > 0 || t.needsExclusive() && t.in.exclusive != nil
}

// enter begins the implicit thread, or waits until the component instance takes new calls. A call
// that has only to go on to make room for this one does so first.
func (t *task) enter(bool) {
	if holder := t.in.exclusive; holder != nil && t.needsExclusive() && holder.waiting() && holder.runnable() && holder.ready() {
		t.in.x.resume(holder, false)
	}
	if t.fn.Type.Async && (t.hasBackpressure() || t.in.waitingToEnter > 0) {
		t.in.waitingToEnter++
		t.thread.next = (*task).entered
		t.in.x.startWaiting(&t.thread, func() bool { return !t.hasBackpressure() }, true)
		return
	}
	t.run()
}

func (t *task) entered(cancelled bool) {
	t.in.waitingToEnter--
	if cancelled {
		t.cancel()
		t.in.x.tasks--
		return
	}
	t.run()
}

func (t *task) register() {
	if t.fn.Type.Async && t.needsExclusive() {
		t.in.exclusive = &t.thread
	}
	t.thread.index = t.in.threads.add(&t.thread)
}

// exit ends the implicit thread.
func (t *task) exit() {
	if t.state != taskResolved {
		canon.Trapf("the task ended without a result")
	}
	t.in.threads.remove(t.thread.index, "thread")
	if t.fn.Type.Async && t.needsExclusive() {
		t.in.exclusive = nil
	}
	t.in.x.tasks--
	t.in.x.giveFlat(t.flat)
	t.flat = nil
	if i, ok := t.caller.(*invocation); ok {
		i.exit()
	}
}

func (t *task) start() {
	t.state = taskStarted
	args := canon.Place{}
	if len(t.fn.Type.Params) > 0 {
		args = t.frame.Lower(t.fn.Type.Args, t.fn.Signature.ArgsInMemory)
	}
	t.caller.start(args)
}

// resolve gives the caller the result.
func (t *task) resolve(result canon.Value) {
	if t.state == taskResolved {
		canon.Trapf("the task has a result already")
	}
	t.mustNotBorrow()
	t.caller.resolve(result, false)
	t.state = taskResolved
}

// cancel tells the caller that there is no result.
func (t *task) cancel() {
	if t.state != taskCancelDelivered {
		canon.Trapf("the task ends as cancelled, but was not told that it is")
	}
	t.mustNotBorrow()
	t.caller.resolve(canon.Value{}, true)
	t.state = taskResolved
}

func (t *task) mustNotBorrow() {
	if t.borrows > 0 {
		canon.Trapf("the task returns while it still has handles that it borrowed")
	}
}

// deliverPendingCancel reports whether the thread that is about to wait hears that the task is to
// be cancelled.
func (t *task) deliverPendingCancel(cancellable bool) bool {
	if cancellable && t.state == taskPendingCancel {
		t.state = taskCancelDelivered
		return true
	}
	return false
}

// requestCancellation asks the task to end. It hears that at once, if it waits where it may hear
// it.
func (t *task) requestCancellation(from *component) {
	x := t.in.x
	if t.state == taskInitial {
		t.state = taskCancelDelivered
		x.resume(&t.thread, true)
		return
	}
	th := &t.thread
	hears := th.waiting() && th.cancellable && th.runnable() &&
		(!t.needsExclusive() || t.in.exclusive == nil || t.in.exclusive == th)
	if !hears || !t.in.mayEnterFrom(from) {
		t.state = taskPendingCancel
		return
	}
	t.state = taskCancelDelivered
	t.in.enterFrom(from)
	x.resume(th, true)
	t.in.leaveTo(from)
}
