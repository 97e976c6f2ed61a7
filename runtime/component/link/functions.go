package link

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

func (f *frame) options(o *binary.Options) (*Options, error) {
	out := &Options{Instance: f.instance, Async: o.Async, Memory: None, Realloc: None, PostReturn: None, Callback: None}
	if o.Encoding != nil {
		out.Encoding = *o.Encoding
	}
	for _, item := range []struct {
		sort  binary.Sort
		index *uint32
		to    *int32
	}{
		{binary.SortCoreMemory, o.Memory, &out.Memory},
		{binary.SortCoreFunc, o.Realloc, &out.Realloc},
		{binary.SortCoreFunc, o.PostReturn, &out.PostReturn},
		{binary.SortCoreFunc, o.Callback, &out.Callback},
	} {
		if item.index == nil {
			continue
		}
		var err error
		if *item.to, err = f.coreItem(item.sort, *item.index); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (f *frame) lift(d *binary.Lift) error {
	t, err := f.funcAt(d.Type)
	if err != nil {
		return err
	}
	o, err := f.options(&d.Options)
	if err != nil {
		return err
	}
	item, err := f.coreItem(binary.SortCoreFunc, d.CoreFunc)
	if err != nil {
		return err
	}
	f.funcs = append(f.funcs, &Func{
		Type: t, Import: None, Core: item, Options: o,
		Signature: t.Lifted(o.Async, o.Callback != None),
	})
	return nil
}

func (f *frame) lower(d *binary.Lower) error {
	of, err := element(f.funcs, d.Func)
	if err != nil {
		return err
	}
	o, err := f.options(&d.Options)
	if err != nil {
		return err
	}
	return f.function(Function{Op: Lower, Func: of, Options: o, Signature: of.Type.Lowered(o.Async), Memory: o.Memory})
}

// function makes a host function of the plan, which is the next core function.
func (f *frame) function(x Function) error {
	if f.store == None {
		return errNoStore
	}
	store := &f.out.Plan.Stores[f.store]
	item := int32(len(store.Functions))
	name := ""
	if x.Func != nil {
		name = x.Func.Name
	}
	store.Functions = append(store.Functions, plan.Function{
		Name: name, Params: x.Signature.Params, Results: x.Signature.Results, Memory: x.Memory,
	})
	i := &f.out.Instances[f.instance]
	i.Functions = append(i.Functions, x)
	f.core[binary.SortCoreFunc] = append(f.core[binary.SortCoreFunc], item)
	return nil
}

var (
	no     []types.Core
	word   = []types.Core{types.I32}
	two    = []types.Core{types.I32, types.I32}
	three  = []types.Core{types.I32, types.I32, types.I32}
	double = []types.Core{types.I64}
)

// builtins are the core types of the built-ins. Those of context.get, context.set and task.return
// depend on their definitions.
var builtins = map[binary.BuiltinOp]types.Signature{
	binary.ResourceNew:              {Params: word, Results: word},
	binary.ResourceDrop:             {Params: word},
	binary.ResourceRep:              {Params: word, Results: word},
	binary.TaskCancel:               {},
	binary.SubtaskCancel:            {Params: word, Results: word},
	binary.SubtaskDrop:              {Params: word},
	binary.TaskReturn:               {},
	binary.ContextGet:               {},
	binary.ContextSet:               {},
	binary.ThreadYield:              {Params: no, Results: word},
	binary.StreamNew:                {Results: double},
	binary.StreamRead:               {Params: three, Results: word},
	binary.StreamWrite:              {Params: three, Results: word},
	binary.StreamCancelRead:         {Params: word, Results: word},
	binary.StreamCancelWrite:        {Params: word, Results: word},
	binary.StreamDropReadable:       {Params: word},
	binary.StreamDropWritable:       {Params: word},
	binary.FutureNew:                {Results: double},
	binary.FutureRead:               {Params: two, Results: word},
	binary.FutureWrite:              {Params: two, Results: word},
	binary.FutureCancelRead:         {Params: word, Results: word},
	binary.FutureCancelWrite:        {Params: word, Results: word},
	binary.FutureDropReadable:       {Params: word},
	binary.FutureDropWritable:       {Params: word},
	binary.ErrorContextNew:          {Params: two, Results: word},
	binary.ErrorContextDebugMessage: {Params: two},
	binary.ErrorContextDrop:         {Params: word},
	binary.WaitableSetNew:           {Results: word},
	binary.WaitableSetWait:          {Params: two, Results: word},
	binary.WaitableSetPoll:          {Params: two, Results: word},
	binary.WaitableSetDrop:          {Params: word},
	binary.WaitableJoin:             {Params: two},
	binary.BackpressureInc:          {},
	binary.BackpressureDec:          {},
	binary.ThreadIndex:              {Results: word},
}

// threads are the built-ins of cooperative threads. They are known and not supported.
var threads = map[binary.BuiltinOp]struct {
	name      string
	signature types.Signature
}{
	binary.ThreadNewIndirect:          {"thread.new-indirect", types.Signature{Params: two, Results: word}},
	binary.ThreadResumeLater:          {"thread.resume-later", types.Signature{Params: word}},
	binary.ThreadSuspend:              {"thread.suspend", types.Signature{Results: word}},
	binary.ThreadSuspendThenResume:    {"thread.suspend-then-resume", types.Signature{Params: word, Results: word}},
	binary.ThreadYieldThenResume:      {"thread.yield-then-resume", types.Signature{Params: word, Results: word}},
	binary.ThreadSuspendThenPromote:   {"thread.suspend-then-promote", types.Signature{Params: word, Results: word}},
	binary.ThreadYieldThenPromote:     {"thread.yield-then-promote", types.Signature{Params: word, Results: word}},
	binary.ThreadSpawnRef:             {"thread.spawn-ref", types.Signature{Params: two, Results: word}},
	binary.ThreadSpawnIndirect:        {"thread.spawn-indirect", types.Signature{Params: two, Results: word}},
	binary.ThreadAvailableParallelism: {"thread.available-parallelism", types.Signature{Results: word}},
}

// signature returns the core type of a built-in, as far as it is the same for all its definitions.
func (f *frame) signature(op binary.BuiltinOp) (types.Signature, error) {
	if s, ok := builtins[op]; ok {
		return s, nil
	}
	t, ok := threads[op]
	if !ok || !f.tolerant {
		return types.Signature{}, fmt.Errorf("the component needs threads of its own, which this host does not support: %s", t.name)
	}
	return t.signature, nil
}

func (f *frame) builtin(d *binary.Builtin) error {
	s, err := f.signature(d.Op)
	if err != nil {
		return err
	}
	o, err := f.options(&d.Options)
	if err != nil {
		return err
	}
	x := Function{Op: Builtin(d.Op), Options: o, Signature: s, Slot: d.Slot, Async: d.Async, Memory: o.Memory}
	switch d.Op {
	case binary.ResourceNew, binary.ResourceDrop, binary.ResourceRep:
		x.Resource, err = f.resource(d.Type)
	case binary.TaskReturn:
		x.Type, err = f.value(d.Result)
		x.Signature.Params, x.Signature.ArgsInMemory = types.Returned(x.Type)
	case binary.ContextGet:
		x.Signature.Results = contextType(d.Core)
	case binary.ContextSet:
		x.Signature.Params = contextType(d.Core)
	case binary.WaitableSetWait, binary.WaitableSetPoll:
		x.Memory, err = f.coreItem(binary.SortCoreMemory, d.Memory)
	case binary.StreamNew, binary.StreamRead, binary.StreamWrite, binary.StreamCancelRead, binary.StreamCancelWrite,
		binary.StreamDropReadable, binary.StreamDropWritable, binary.FutureNew, binary.FutureRead, binary.FutureWrite,
		binary.FutureCancelRead, binary.FutureCancelWrite, binary.FutureDropReadable, binary.FutureDropWritable:
		x.Type, err = f.valueAt(d.Type)
	}
	if err != nil {
		return err
	}
	return f.function(x)
}

func contextType(t binary.CoreValType) []types.Core {
	if t.Kind == binary.CoreI64 {
		return double
	}
	return word
}
