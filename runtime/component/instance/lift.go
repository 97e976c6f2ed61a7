package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
)

const cannotEnter = "cannot enter component instance: it has been entered and may not be again"

// invoke calls a lifted function. When it returns, the task has ended or waits.
func (x *Instance) invoke(fn *link.Func, c caller, from *component) *task {
	in := x.components[fn.Options.Instance]
	if !in.mayEnterFrom(from) {
		canon.Trapf(cannotEnter)
	}
	in.enterFrom(from)
	t := x.newTask(fn, in, c)
	switch {
	case !fn.Type.Async:
		before := x.current
		x.current = &t.thread
		t.thread.inline = true
		t.run()
		x.current = before
		in.leaveTo(from)
	case x.current == nil: // from the loop
		t.thread.next = (*task).enter
		x.goOn(&t.thread, in)
	default:
		t.thread.next = (*task).enter
		x.resume(&t.thread, false)
		in.leaveTo(from)
	}
	return t
}

// run is what a thread of a call does, once it may enter.
func (t *task) run() {
	t.register()
	t.frame.Begin(&t.side, t.side.Memory(), t.flat[:])
	t.start()
	t.in.call(t.fn.Core, t.flat[:])
	switch o := t.fn.Options; {
	case !o.Async:
		t.returned()
	case o.Callback == link.None:
		t.exit()
	default:
		t.loop(t.flat.u32(0))
	}
}

// returned ends a call whose function is lifted as synchronous.
func (t *task) returned() {
	t.frame.Refresh()
	var result canon.Value
	if of := t.fn.Type.Result; of != nil {
		result = t.frame.Lift(of, t.fn.Signature.ResultInMemory)
	}
	t.resolve(result)
	if post := t.fn.Options.PostReturn; post != link.None {
		t.in.mayLeave = false
		t.in.call(post, t.flat[:])
		t.in.mayLeave = true
	}
	t.exit()
}

// What a callback returns.
const (
	callbackExit = iota
	callbackYield
	callbackWait

	callbackCodes = 0xf // the part of the number that is the code
	callbackShift = 4   // of the rest, which is a waitable set
)

// loop goes on with what the core function or the callback returned, until that waits or ends.
func (t *task) loop(packed uint32) {
	x := t.in.x
	for packed&callbackCodes != callbackExit {
		t.in.exclusive = nil
		var e event
		switch packed & callbackCodes {
		case callbackYield:
			if !t.deliverPendingCancel(true) {
				t.thread.next = (*task).goOn
				x.startWaiting(&t.thread, t.mayRun, true)
				return
			}
			e.code = eventCancelled
		case callbackWait:
			set := handleOf[*waitableSet](t.in, packed>>callbackShift, waitableSetWord)
			switch {
			case t.deliverPendingCancel(true):
				e.code = eventCancelled
			case t.mayRun() && set.hasPending() && x.eagerly():
				e = set.take()
			default:
				set.waiting++
				t.set, t.thread.next = set, (*task).goOn
				x.startWaiting(&t.thread, func() bool { return t.mayRun() && set.hasPending() }, true)
				return
			}
		default:
			canon.Trapf("the callback returned a code that has no meaning")
		}
		packed = t.callback(e)
	}
	t.exit()
}

func (t *task) mayRun() bool { return t.in.exclusive == nil }

// goOn is what a task does after it waited for a set, or just let others run.
func (t *task) goOn(cancelled bool) {
	set := t.set
	t.set = nil
	var e event
	if cancelled {
		e.code = eventCancelled
	} else if set != nil {
		e = set.take()
	}
	if set != nil {
		set.waiting--
	}
	t.loop(t.callback(e))
}

func (t *task) callback(e event) (packed uint32) {
	t.in.exclusive = &t.thread
	t.flat.set(0, e.code)
	t.flat.set(1, e.index)
	t.flat.set(2, e.payload)
	t.in.call(t.fn.Options.Callback, t.flat[:])
	return t.flat.u32(0)
}
