package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
)

// Begin has an exported function called soon, by the goroutine that drives the instance. lower
// gives the arguments, and lift takes the result; exited hears that the task has ended. All are
// called in the component's turn, and lower and lift may be nil. If the instance has a fault, or
// gets one, exited is not called. Any goroutine may call Begin.
func (x *Instance) Begin(fn *link.Func, lower func(args canon.Place), lift func(result canon.Value), exited func()) error {
	if fn.Import != link.None {
		return errNotLifted
	}
	x.postCall(&invocation{fn: fn, lower: lower, lift: lift, exited: exited})
	return nil
}

// Take waits for the turn, or for a value of wake, and reports whether it got the turn. Then the
// caller has to Give it.
func (x *Instance) Take(wake <-chan struct{}) bool {
	select {
	case x.turn <- struct{}{}:
		return true
	default:
	}
	select {
	case x.turn <- struct{}{}:
		return true
	case <-wake:
		return false
	}
}

// Give gives the turn back.
func (x *Instance) Give() { <-x.turn }

// Drive runs what there is to do in the turn, which the caller has, until something is so: until is
// asked whenever something was done. If a task waits on the stack of the caller, Drive may go on
// until that has ended. The error is the instance's fault.
func (x *Instance) Drive(until func() bool) error {
	return x.runHere(func() { x.drive(until) })
}

// Busy reports whether Drive would find something to do at once. It is called in the turn.
func (x *Instance) Busy() bool {
	x.queue.mu.Lock()
	told := x.queue.posted.len()+x.queue.calls.len() > 0
	x.queue.mu.Unlock()
	return told || x.followUps.len() > 0 || x.nextReady() != nil
}

// Held reports whether the goroutine that called Drive cannot return from it yet, as a task waits
// on its stack. It is called in the turn.
func (x *Instance) Held() bool { return x.loop != x.home || x.alone }
