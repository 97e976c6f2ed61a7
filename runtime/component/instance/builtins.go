package instance

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// eventType is how an event lies in memory.
var eventType = types.New(types.Type{Kind: types.Tuple, Elems: []*types.Type{types.Prim(types.U32), types.Prim(types.U32)}})

// carry carries out a host function for core code of a component instance.
type carry func(c *component, f *link.Function, v *values, memory []byte)

// ErrThreads is why a built-in of threads traps, in a component that was linked all the same.
var ErrThreads = errors.New("the component needs threads of its own, which this host does not support")

// threadsRefused stands for the built-ins of threads.
func threadsRefused(c *component, _ *link.Function, _ *values, _ []byte) {
	c.mustLeave()
	panic(&canon.Trap{Err: ErrThreads})
}

// operations are what host functions do, by their link.Op.
var operations = [1 << 8]carry{
	link.Lower:                               lower,
	link.Op(binary.ResourceNew):              resourceNew,
	link.Op(binary.ResourceDrop):             resourceDrop,
	link.Op(binary.ResourceRep):              resourceRep,
	link.Op(binary.TaskReturn):               taskReturn,
	link.Op(binary.TaskCancel):               taskCancel,
	link.Op(binary.SubtaskCancel):            subtaskCancel,
	link.Op(binary.SubtaskDrop):              subtaskDrop,
	link.Op(binary.ContextGet):               contextGet,
	link.Op(binary.ContextSet):               contextSet,
	link.Op(binary.ThreadYield):              threadYield,
	link.Op(binary.ThreadIndex):              threadIndex,
	link.Op(binary.BackpressureInc):          backpressureInc,
	link.Op(binary.BackpressureDec):          backpressureDec,
	link.Op(binary.WaitableSetNew):           waitableSetNew,
	link.Op(binary.WaitableSetWait):          waitableSetWait,
	link.Op(binary.WaitableSetPoll):          waitableSetPoll,
	link.Op(binary.WaitableSetDrop):          waitableSetDrop,
	link.Op(binary.WaitableJoin):             waitableJoin,
	link.Op(binary.StreamNew):                makeEnds,
	link.Op(binary.StreamRead):               streamRead.begin,
	link.Op(binary.StreamWrite):              streamWrite.begin,
	link.Op(binary.StreamCancelRead):         streamRead.cancel,
	link.Op(binary.StreamCancelWrite):        streamWrite.cancel,
	link.Op(binary.StreamDropReadable):       streamRead.drop,
	link.Op(binary.StreamDropWritable):       streamWrite.drop,
	link.Op(binary.FutureNew):                makeEnds,
	link.Op(binary.FutureRead):               futureRead.begin,
	link.Op(binary.FutureWrite):              futureWrite.begin,
	link.Op(binary.FutureCancelRead):         futureRead.cancel,
	link.Op(binary.FutureCancelWrite):        futureWrite.cancel,
	link.Op(binary.FutureDropReadable):       futureRead.drop,
	link.Op(binary.FutureDropWritable):       futureWrite.drop,
	link.Op(binary.ErrorContextNew):          errorContextNew,
	link.Op(binary.ErrorContextDebugMessage): errorContextDebugMessage,
	link.Op(binary.ErrorContextDrop):         errorContextDrop,

	link.Op(binary.ThreadNewIndirect):          threadsRefused,
	link.Op(binary.ThreadResumeLater):          threadsRefused,
	link.Op(binary.ThreadSuspend):              threadsRefused,
	link.Op(binary.ThreadSuspendThenResume):    threadsRefused,
	link.Op(binary.ThreadYieldThenResume):      threadsRefused,
	link.Op(binary.ThreadSuspendThenPromote):   threadsRefused,
	link.Op(binary.ThreadYieldThenPromote):     threadsRefused,
	link.Op(binary.ThreadSpawnRef):             threadsRefused,
	link.Op(binary.ThreadSpawnIndirect):        threadsRefused,
	link.Op(binary.ThreadAvailableParallelism): threadsRefused,
}

func taskReturn(c *component, f *link.Function, v *values, memory []byte) {
	t := c.x.current.task
	c.mustLeave()
	o := t.fn.Options
	switch {
	case !o.Async:
		canon.Trapf("the guest calls task.return in a function that returns its result itself")
	case !types.Same(f.Type, t.fn.Type.Result):
		canon.Trapf("the guest calls task.return with a result of another type than the function's")
	case f.Options.Memory != link.None && (o.Memory != f.Options.Memory || o.Encoding != f.Options.Encoding):
		// Without a memory the result has nothing in it, and no strings.
		canon.Trapf("the guest calls task.return with another memory or encoding of strings than the function's")
	}
	var result canon.Value
	if f.Type != nil {
		t.frame.Begin(&t.side, memory, v[:])
		result = t.frame.Lift(f.Type, f.Signature.ArgsInMemory)
	}
	t.resolve(result)
}

func taskCancel(c *component, _ *link.Function, _ *values, _ []byte) {
	t := c.x.current.task
	c.mustLeave()
	if !t.fn.Options.Async {
		canon.Trapf("the guest calls task.cancel in a function that returns its result itself")
	}
	t.cancel()
}

func contextGet(c *component, f *link.Function, v *values, _ []byte) {
	v[0].Bits = c.x.current.storage[f.Slot&1]
}

func contextSet(c *component, f *link.Function, v *values, _ []byte) {
	c.x.current.storage[f.Slot&1] = v[0].Bits
}

func threadYield(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	var cancelled uint32
	if c.x.yield(f.Async) {
		cancelled = 1
	}
	v.set(0, cancelled)
}

func threadIndex(c *component, _ *link.Function, v *values, _ []byte) {
	c.mustLeave()
	v.set(0, c.x.current.index)
}

func backpressureInc(c *component, _ *link.Function, _ *values, _ []byte) {
	c.backpressure++
	if c.backpressure == maxBackpressure {
		canon.Trapf("the guest raises backpressure %d times", maxBackpressure)
	}
}

func backpressureDec(c *component, _ *link.Function, _ *values, _ []byte) {
	c.backpressure--
	if c.backpressure < 0 {
		canon.Trapf("the guest lowers backpressure that it has not raised")
	}
}

// errorContext is what a guest said of an error, for people who debug.
type errorContext struct{ message string }

const errorContextWord = "error context"

func errorContextNew(c *component, f *link.Function, v *values, memory []byte) {
	c.mustLeave()
	var frame canon.Frame
	frame.Begin(&side{in: c, options: f.Options}, memory, v[:])
	message := frame.Lift(types.Prim(types.String), false).Start(maxMessage) // the whole may be 256 MiB
	v.set(0, c.addHandle(&errorContext{message}))
}

func errorContextDebugMessage(c *component, f *link.Function, v *values, memory []byte) {
	c.mustLeave()
	e := handleOf[*errorContext](c, v.u32(0), errorContextWord)
	var frame canon.Frame
	frame.Begin(&side{in: c, options: f.Options}, memory, nil)
	frame.LowerAt(types.Prim(types.String), v.u32(1)).String(e.message)
}

func errorContextDrop(c *component, _ *link.Function, v *values, _ []byte) {
	c.mustLeave()
	takeHandle[*errorContext](c, v.u32(0), errorContextWord)
}
