package binary

// Bytes of canonical definitions that are not built-ins.
const (
	canonLift  = 0x00
	canonLower = 0x01
)

func (r *reader) canon() Definition {
	at := r.at
	switch op := r.byte(); op {
	case canonLift:
		r.zero("the sort of what is lifted")
		return &Lift{At: at, CoreFunc: r.u32(), Options: r.options(), Type: r.u32()}
	case canonLower:
		r.zero("the sort of what is lowered")
		return &Lower{At: at, Func: r.u32(), Options: r.options()}
	default:
		b := &Builtin{Op: BuiltinOp(op), At: at}
		r.builtin(b)
		return b
	}
}

// builtin reads what a built-in needs.
func (r *reader) builtin(b *Builtin) {
	switch b.Op {
	case BackpressureInc, BackpressureDec, TaskCancel, SubtaskDrop, ErrorContextDrop, WaitableSetNew, WaitableSetDrop,
		WaitableJoin, ThreadIndex, ThreadResumeLater:
	case ResourceNew, ResourceDrop, ResourceRep, StreamNew, StreamDropReadable, StreamDropWritable, FutureNew,
		FutureDropReadable, FutureDropWritable:
		b.Type = r.u32()
	case StreamRead, StreamWrite, FutureRead, FutureWrite:
		b.Type, b.Options = r.u32(), r.options()
	case StreamCancelRead, StreamCancelWrite, FutureCancelRead, FutureCancelWrite:
		b.Type, b.Async = r.u32(), r.async()
	case TaskReturn:
		b.Result, b.Options = r.result(), r.options()
	case ContextGet, ContextSet:
		b.Core, b.Slot = r.coreValType(), r.u32()
	case SubtaskCancel:
		b.Async = r.async()
	case ErrorContextNew, ErrorContextDebugMessage:
		b.Options = r.options()
	case WaitableSetWait, WaitableSetPoll:
		b.Async, b.Memory = r.cancellable(), r.u32()
	case ThreadYield, ThreadSuspend, ThreadSuspendThenResume, ThreadYieldThenResume, ThreadSuspendThenPromote,
		ThreadYieldThenPromote:
		b.Async = r.cancellable()
	case ThreadNewIndirect:
		b.Type, b.Table = r.u32(), r.u32()
	case ThreadSpawnRef:
		b.Async, b.Type = r.shared(), r.u32()
	case ThreadSpawnIndirect:
		b.Async, b.Type, b.Table = r.shared(), r.u32(), r.u32()
	case ThreadAvailableParallelism:
		b.Async = r.shared()
	default:
		r.fail(b.At, "a canonical definition 0x%x is not known here", byte(b.Op))
	}
}

func (r *reader) async() bool       { return r.flag("whether a built-in is async") }
func (r *reader) cancellable() bool { return r.flag("whether a built-in is cancellable") }
func (r *reader) shared() bool      { return r.flag("whether a built-in is shared") }

// Canonical options. Those before optionMemory are encodings of strings.
const (
	optionUTF8        = 0
	optionUTF16       = 1
	optionLatin1UTF16 = 2
	optionMemory      = 3
	optionRealloc     = 4
	optionPostReturn  = 5
	optionAsync       = 6
	optionCallback    = 7
)

func (r *reader) options() (o Options) {
	list(r, "options", func(r *reader) struct{} {
		r.option(&o)
		return struct{}{}
	})
	return o
}

func (r *reader) option(o *Options) {
	at := r.at
	switch b := r.byte(); b {
	case optionUTF8, optionUTF16, optionLatin1UTF16:
		if o.Encoding != nil {
			o.Repeated = "string-encoding"
		}
		e := Encoding(b)
		o.Encoding = &e
	case optionMemory:
		r.indexOption(o, &o.Memory, "memory")
	case optionRealloc:
		r.indexOption(o, &o.Realloc, "realloc")
	case optionPostReturn:
		r.indexOption(o, &o.PostReturn, "post-return")
	case optionAsync:
		if o.Async {
			o.Repeated = "async"
		}
		o.Async = true
	case optionCallback:
		r.indexOption(o, &o.Callback, "callback")
	default:
		r.fail(at, "a canonical option 0x%x is not known here", b)
	}
}

func (r *reader) indexOption(o *Options, into **uint32, name string) {
	if *into != nil {
		o.Repeated = name
	}
	i := r.u32()
	*into = &i
}
