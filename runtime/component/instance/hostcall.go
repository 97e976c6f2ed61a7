package instance

import (
	"errors"
	"sync/atomic"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
)

// hostCall is a call of a function of the host. It is a subtask of its caller, and a canon.Task.
type hostCall struct {
	subtask
	call   canon.Call
	later  bool // the result comes later
	cancel func()
	// finished is what ended a call that came later, until that was done.
	finished atomic.Pointer[func(c *canon.Call)]
	ended    atomic.Bool
}

// callHost calls a function of the host.
func (c *component) callHost(f *link.Function, v *values, memory []byte) {
	x := c.x
	h := x.takeCall()
	if h.in != c || h.fn != f { // a pointer that is written costs time while garbage is collected
		h.in, h.fn = c, f
		h.side = side{in: c, options: f.Options, subtask: &h.lending}
	}
	stub := x.program.stubs[f.Func.Import]
	if !f.Func.Type.Async {
		h.call.Begin(&h.side, memory, v[:], f.Func.Type, &f.Signature)
		stub(&h.call)
		h.lending.giveBack()
		x.giveCall(h)
		return
	}
	copy(h.flat[:], v[:len(f.Signature.Params)])
	h.state = subtaskStarted
	h.call.Begin(&h.side, memory, h.flat[:], f.Func.Type, &f.Signature)
	stub(&h.call)
	if !h.later {
		h.state = subtaskReturned
		h.answer(v)
		h.delivered = false
		x.giveCall(h)
		return
	}
	h.onCancel = h.requestCancellation
	h.keep()
	h.answer(v)
}

// takeCall returns a call that is not in use.
func (x *Instance) takeCall() *hostCall {
	if n := len(x.calls); n > 0 {
		h := x.calls[n-1]
		x.calls = x.calls[:n-1]
		return h
	}
	h := &hostCall{}
	h.call.Host, h.call.Task = x.host, h
	return h
}

// giveCall keeps a call, which has ended at once, for the next one.
func (x *Instance) giveCall(h *hostCall) { x.calls = append(x.calls, h) }

// requestCancellation asks the host to end the call. It may do so at once.
func (h *hostCall) requestCancellation(*component) {
	if h.cancel != nil {
		h.cancel()
		h.collect()
	}
}

var errNotCancelled = errors.New("a function of the host ended as cancelled, but was not asked to")

// Later lets the host answer later. It implements canon.Task.
func (h *hostCall) Later(_ *canon.Call, cancel func()) (done func(finish func(c *canon.Call))) {
	x := h.in.x
	if !h.fn.Func.Type.Async || h.later {
		panic("instance: Later of a function that is not async, or twice")
	}
	if x.later == maxLater {
		canon.Trapf("more than %d calls of the host have not ended", maxLater)
	}
	x.later++
	h.later, h.cancel = true, cancel
	return func(finish func(c *canon.Call)) {
		if h.ended.Swap(true) {
			panic("instance: a call was ended twice")
		}
		h.finished.Store(&finish)
		x.Post(h.collect)
	}
}

// Expect says that the host posts something, though no call, stream or future of the guest waits
// for it: until met, the guest's tasks are not stuck. Both are called in the turn.
func (x *Instance) Expect() (met func()) {
	x.later++
	return func() { x.later-- }
}

// collect ends a call in the component's turn, if the host has ended it.
func (h *hostCall) collect() {
	f := h.finished.Swap(nil)
	if f == nil {
		return
	}
	h.in.x.later--
	h.progress()
	if *f == nil {
		if !h.cancelRequested {
			panic(&canon.Trap{Err: errNotCancelled})
		}
		h.state = subtaskCancelledBeforeReturned
		return
	}
	h.call.Refresh()
	(*f)(&h.call)
	h.state = subtaskReturned
}

// Of returns the instance whose component makes the call.
func Of(c *canon.Call) *Instance { return c.Task.(*hostCall).in.x }
