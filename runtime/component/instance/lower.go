package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
)

type subtaskState uint32

// The specification's numbers.
const (
	subtaskStarting subtaskState = iota
	subtaskStarted
	subtaskReturned
	subtaskCancelledBeforeStarted
	subtaskCancelledBeforeReturned
)

// subtaskShift is where in a number the handle of a subtask begins; its state is below.
const subtaskShift = 4

// blocked is what a call says that goes on by itself.
const blocked = 0xffff_ffff

const subtaskWord = "subtask"

// subtask is a call by a component instance, as the caller sees it. It is the caller of a lifted
// function.
type subtask struct {
	waitable
	in              *component
	fn              *link.Function
	state           subtaskState
	delivered       bool
	cancelRequested bool
	index           uint32 // in the handle table, or 0 before that
	lending         lending
	onCancel        func(from *component)
	side            side
	frame           canon.Frame
	flat            values
}

func (s *subtask) resolved() bool { return s.state >= subtaskReturned }

// begin makes s a call that the guest begins now.
func (s *subtask) begin(in *component, f *link.Function, v *values) {
	s.in, s.fn = in, f
	s.side = side{in: in, options: f.Options, subtask: &s.lending}
	copy(s.flat[:], v[:len(f.Signature.Params)])
}

// start lifts the arguments.
func (s *subtask) start(args canon.Place) {
	s.progress()
	s.state = subtaskStarted
	of := s.fn.Func.Type
	if len(of.Params) == 0 {
		return
	}
	s.frame.Refresh()
	s.copy(args, s.frame.Lift(of.Args, s.fn.Signature.ArgsInMemory))
}

// copy moves a value between the caller and the function that is called.
func (s *subtask) copy(to canon.Place, from canon.Value) {
	if s.fn.Func.Options.Instance == s.side.options.Instance {
		canon.CopyWithin(to, from)
		return
	}
	canon.Copy(to, from)
}

// resolve lowers the result.
func (s *subtask) resolve(result canon.Value, cancelled bool) {
	s.progress()
	switch {
	case cancelled && s.state == subtaskStarting:
		s.state = subtaskCancelledBeforeStarted
	case cancelled:
		s.state = subtaskCancelledBeforeReturned
	default:
		if of := s.fn.Func.Type.Result; of != nil {
			s.frame.Refresh()
			s.copy(s.place(), result)
		}
		s.state = subtaskReturned
	}
}

func (s *subtask) place() canon.Place {
	of, signature := s.fn.Func.Type.Result, &s.fn.Signature
	if signature.ResultInMemory {
		return s.frame.LowerAt(of, s.flat.u32(len(signature.Params)-1))
	}
	return s.frame.Lower(of, false)
}

// progress has an event pending, if the caller has the subtask as a handle.
func (s *subtask) progress() {
	if s.index != 0 {
		s.setPending(s)
	}
}

// event tells the caller how far the call is.
func (s *subtask) event() event {
	if s.resolved() {
		s.deliver()
	}
	return event{eventSubtask, s.index, uint32(s.state)}
}

func (s *subtask) deliver() {
	s.lending.giveBack()
	s.delivered = true
}

// answer ends the guest's call: with the result, or for an asynchronous one with its state.
func (s *subtask) answer(v *values) {
	if !s.fn.Options.Async {
		if !s.resolved() {
			s.in.x.waitUntil(s.resolved, false)
		}
		s.deliver()
		v[0] = s.flat[0]
		return
	}
	if s.resolved() {
		s.deliver()
		v.set(0, uint32(subtaskReturned))
		return
	}
	v.set(0, uint32(s.state)|s.index<<subtaskShift)
}

// lower is a call of a function by core code.
func lower(c *component, f *link.Function, v *values, memory []byte) {
	c.mustLeave()
	if f.Func.Import != link.None {
		c.callHost(f, v, memory)
		return
	}
	c.mustNotRelate(c.x.components[f.Func.Options.Instance])
	s := &subtask{}
	s.begin(c, f, v)
	s.frame.Begin(&s.side, memory, s.flat[:])
	t := c.x.invoke(f.Func, s, c)
	s.onCancel = t.requestCancellation
	s.keep()
	s.answer(v)
}

// keep makes the subtask of an asynchronous call a handle, if it has no result yet.
func (s *subtask) keep() {
	if s.fn.Options.Async && !s.resolved() {
		s.index = s.in.addHandle(s)
	}
}

func subtaskCancel(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	s := handleOf[*subtask](c, v.u32(0), subtaskWord)
	switch {
	case s.delivered:
		canon.Trapf("the guest cancels a subtask whose end it was told")
	case s.cancelRequested:
		canon.Trapf("the guest cancels a subtask twice")
	case s.set != nil && !f.Async:
		canon.Trapf("the guest waits for a subtask that is in a waitable set")
	}
	if !s.resolved() {
		s.cancelRequested = true
		s.onCancel(c)
		if !s.resolved() {
			if f.Async {
				v.set(0, blocked)
				return
			}
			c.x.waitFor(&s.waitable, s.resolved)
		}
	}
	s.take()
	v.set(0, uint32(s.state))
}

func subtaskDrop(c *component, _ *link.Function, v *values, _ []byte) {
	c.mustLeave()
	s := takeHandle[*subtask](c, v.u32(0), subtaskWord)
	if !s.delivered {
		canon.Trapf("the guest drops a subtask whose end it was not told")
	}
	s.join(nil)
}
