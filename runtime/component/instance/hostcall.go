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
}

// callHost calls a function of the host.
func (c *component) callHost(f *link.Function, v *values, memory []byte) {
	x := c.x
	h := x.takeCall()
	h.begin(c, f, v)
	h.state = subtaskStarted
	h.call.Host, h.call.Task = x.host, h
	h.call.Begin(&h.side, memory, h.flat[:], f.Func.Type, &f.Signature)
	x.program.stubs[f.Func.Import](&h.call)
	if !h.later {
		h.state = subtaskReturned
		h.answer(v)
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
	return &hostCall{}
}

// giveCall keeps a call for the next one.
func (x *Instance) giveCall(h *hostCall) {
	h.delivered, h.index = false, 0
	x.calls = append(x.calls, h)
}

func (h *hostCall) requestCancellation(*component) {
	if h.cancel != nil {
		h.cancel()
	}
}

var errNotCancelled = errors.New("a function of the host ended as cancelled, but was not asked to")

// Later lets the host answer later. It implements canon.Task.
func (h *hostCall) Later(c *canon.Call, cancel func()) (done func(finish func(c *canon.Call))) {
	x := h.in.x
	if !h.fn.Func.Type.Async || h.later {
		panic("instance: Later of a function that is not async, or twice")
	}
	if x.later == maxLater {
		canon.Trapf("more than %d calls of the host have not ended", maxLater)
	}
	x.later++
	h.later, h.cancel = true, cancel
	var once atomic.Bool
	return func(finish func(c *canon.Call)) {
		if once.Swap(true) {
			panic("instance: a call was ended twice")
		}
		x.Post(func() { h.finish(finish) })
	}
}

// finish ends a call in the component's turn.
func (h *hostCall) finish(f func(c *canon.Call)) {
	h.in.x.later--
	h.progress()
	if f == nil {
		if !h.cancelRequested {
			panic(&canon.Trap{Err: errNotCancelled})
		}
		h.state = subtaskCancelledBeforeReturned
		return
	}
	h.call.Refresh()
	f(&h.call)
	h.state = subtaskReturned
}

// Of returns the instance whose component makes the call.
func Of(c *canon.Call) *Instance { return c.Task.(*hostCall).in.x }
