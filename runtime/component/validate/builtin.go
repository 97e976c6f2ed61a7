package validate

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// simple are the built-ins whose type is always the same and that need nothing more.
var simple = map[binary.BuiltinOp]coreFunc{
	binary.TaskCancel:       {},
	binary.SubtaskCancel:    {params: i32s(1), results: i32s(1)},
	binary.SubtaskDrop:      {params: i32s(1)},
	binary.BackpressureInc:  {},
	binary.BackpressureDec:  {},
	binary.ThreadYield:      {results: i32s(1)},
	binary.ThreadIndex:      {results: i32s(1)}, // a task has one thread
	binary.WaitableSetNew:   {results: i32s(1)},
	binary.WaitableSetDrop:  {params: i32s(1)},
	binary.WaitableJoin:     {params: i32s(2)},
	binary.ErrorContextDrop: {params: i32s(1)},
}

// handles are the built-ins of streams and futures that take no options: what they are of, and
// their type.
var handles = map[binary.BuiltinOp]struct {
	of   types.Kind
	core coreFunc
}{
	binary.StreamNew:          {types.Stream, coreFunc{results: []coreVal{{kind: binary.CoreI64}}}},
	binary.StreamCancelRead:   {types.Stream, coreFunc{params: i32s(1), results: i32s(1)}},
	binary.StreamCancelWrite:  {types.Stream, coreFunc{params: i32s(1), results: i32s(1)}},
	binary.StreamDropReadable: {types.Stream, coreFunc{params: i32s(1)}},
	binary.StreamDropWritable: {types.Stream, coreFunc{params: i32s(1)}},
	binary.FutureNew:          {types.Future, coreFunc{results: []coreVal{{kind: binary.CoreI64}}}},
	binary.FutureCancelRead:   {types.Future, coreFunc{params: i32s(1), results: i32s(1)}},
	binary.FutureCancelWrite:  {types.Future, coreFunc{params: i32s(1), results: i32s(1)}},
	binary.FutureDropReadable: {types.Future, coreFunc{params: i32s(1)}},
	binary.FutureDropWritable: {types.Future, coreFunc{params: i32s(1)}},
}

// builtin returns the type of the core function that a built-in is.
func (s canon) builtin(d *binary.Builtin) coreFunc {
	if f, ok := simple[d.Op]; ok {
		return f
	}
	if h, ok := handles[d.Op]; ok {
		s.carrier(d.Type, h.of)
		return h.core
	}
	switch d.Op {
	case binary.ResourceNew, binary.ResourceRep:
		if !s.local[s.resourceAt(d.Type).of] {
			s.fail("type %d is a resource type that is not defined in this component", d.Type)
		}
		return coreFunc{params: i32s(1), results: i32s(1)}
	case binary.ResourceDrop:
		s.resourceAt(d.Type)
		return coreFunc{params: i32s(1)}
	case binary.TaskReturn:
		return s.taskReturn(d)
	case binary.ContextGet:
		s.context(d)
		return coreFunc{results: i32s(1)}
	case binary.ContextSet:
		s.context(d)
		return coreFunc{params: i32s(1)}
	case binary.StreamRead, binary.StreamWrite:
		s.copies(d, types.Stream, d.Op == binary.StreamRead)
		return coreFunc{params: i32s(3), results: i32s(1)}
	case binary.FutureRead, binary.FutureWrite:
		s.copies(d, types.Future, d.Op == binary.FutureRead)
		return coreFunc{params: i32s(2), results: i32s(1)}
	case binary.ErrorContextNew:
		s.errorContext(d, needs{memory: true})
		return coreFunc{params: i32s(2), results: i32s(1)}
	case binary.ErrorContextDebugMessage:
		s.errorContext(d, needs{memory: true, realloc: true})
		return coreFunc{params: i32s(2)}
	case binary.WaitableSetWait, binary.WaitableSetPoll:
		s.memory(d.Memory)
		return coreFunc{params: i32s(2), results: i32s(1)}
	}
	return s.thread(d)
}

// thread refuses what threads need.
func (s canon) thread(d *binary.Builtin) coreFunc {
	switch d.Op {
	case binary.ThreadNewIndirect, binary.ThreadResumeLater, binary.ThreadSuspend, binary.ThreadSuspendThenResume,
		binary.ThreadYieldThenResume, binary.ThreadSuspendThenPromote, binary.ThreadYieldThenPromote:
		s.unsupported("the component uses cooperative threads, which are not supported")
	case binary.ThreadSpawnRef, binary.ThreadSpawnIndirect, binary.ThreadAvailableParallelism:
		s.unsupported("the component uses threads with shared memory, which are not supported")
	}
	s.fail("there is no built-in 0x%x", byte(d.Op))
	return coreFunc{}
}

// carrier returns a stream or future type.
func (s canon) carrier(index uint32, kind types.Kind) *valueType {
	t, ok := s.typeAt(index).(*valueType)
	if !ok || t.typ.Kind != kind {
		s.fail("type %d is not a %s", index, map[types.Kind]string{types.Stream: "stream", types.Future: "future"}[kind])
	}
	return t
}

// copies checks a built-in that reads or writes values.
func (s canon) copies(d *binary.Builtin, kind types.Kind, reads bool) {
	carried := s.carrier(d.Type, kind).parts[0]
	need := needs{memory: carried != nil}
	if reads {
		need.in(carried)
	} else {
		need.out(carried)
	}
	s.notLifted(&d.Options)
	s.options(&d.Options, need)
}

func (s canon) taskReturn(d *binary.Builtin) coreFunc {
	o := &d.Options
	s.notLifted(o)
	if o.Realloc != nil || o.Async {
		s.fail("task.return has an option realloc or async")
	}
	result := typeDefs(s).optional(d.Result)
	need := needs{}
	if result == nil {
		s.options(o, need)
		return coreFunc{}
	}
	if result.typ.Borrows {
		s.fail("the result of a function has a borrow handle")
	}
	params, inMemory := types.Returned(result.typ)
	need.out(result)
	need.memory = need.memory || inMemory
	s.options(o, need)
	return coreFunc{params: coreVals(params)}
}

// contextSlots is how many values a thread keeps for the guest.
const contextSlots = 2

func (s canon) context(d *binary.Builtin) {
	if d.Core.Kind == binary.CoreI64 {
		s.unsupported("a thread's context has values of 64 bits, which is not supported")
	}
	if d.Core.Kind != binary.CoreI32 {
		s.fail("a thread's context has values that are not i32")
	}
	if d.Slot >= contextSlots {
		s.fail("a thread's context has no slot %d, it has %d slots", d.Slot, contextSlots)
	}
}

func (s canon) errorContext(d *binary.Builtin, need needs) {
	s.notLifted(&d.Options)
	if d.Options.Async {
		s.fail("an error context is made or read with the option async")
	}
	s.options(&d.Options, need)
}
