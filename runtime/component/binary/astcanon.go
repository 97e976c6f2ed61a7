package binary

// Lift makes a function of a core function.
type Lift struct {
	CoreFunc uint32
	Options  Options
	Type     uint32
	At       int
}

// Lower makes a core function of a function.
type Lower struct {
	Func    uint32
	Options Options
	At      int
}

// Builtin makes a core function that the host carries out.
type Builtin struct {
	Op BuiltinOp
	// What the built-in needs of these; the others are zero.
	Type    uint32      // of a resource, stream, future or, for threads, a core function
	Result  *ValType    // of task.return
	Core    CoreValType // of context.get and context.set
	Slot    uint32      // likewise
	Memory  uint32      // of waitable-set.wait and waitable-set.poll
	Table   uint32      // of thread.new-indirect
	Async   bool        // the flag async, cancellable or shared
	Options Options
	At      int
}

// Encoding is how a component instance encodes strings.
type Encoding uint8

// Encodings.
const (
	UTF8 Encoding = iota
	UTF16
	Latin1UTF16
)

// Options are those of a canonical definition. A nil one was not given.
type Options struct {
	Encoding   *Encoding
	Memory     *uint32
	Realloc    *uint32
	PostReturn *uint32
	Callback   *uint32
	Async      bool
	Repeated   string // the name of an option that is given more than once, or ""
}

// BuiltinOp is a built-in, by the byte that the format has for it.
type BuiltinOp uint8

// The built-ins.
const (
	ResourceNew                BuiltinOp = 0x02
	ResourceDrop               BuiltinOp = 0x03
	ResourceRep                BuiltinOp = 0x04
	TaskCancel                 BuiltinOp = 0x05
	SubtaskCancel              BuiltinOp = 0x06
	TaskReturn                 BuiltinOp = 0x09
	ContextGet                 BuiltinOp = 0x0a
	ContextSet                 BuiltinOp = 0x0b
	ThreadYield                BuiltinOp = 0x0c
	SubtaskDrop                BuiltinOp = 0x0d
	StreamNew                  BuiltinOp = 0x0e
	StreamRead                 BuiltinOp = 0x0f
	StreamWrite                BuiltinOp = 0x10
	StreamCancelRead           BuiltinOp = 0x11
	StreamCancelWrite          BuiltinOp = 0x12
	StreamDropReadable         BuiltinOp = 0x13
	StreamDropWritable         BuiltinOp = 0x14
	FutureNew                  BuiltinOp = 0x15
	FutureRead                 BuiltinOp = 0x16
	FutureWrite                BuiltinOp = 0x17
	FutureCancelRead           BuiltinOp = 0x18
	FutureCancelWrite          BuiltinOp = 0x19
	FutureDropReadable         BuiltinOp = 0x1a
	FutureDropWritable         BuiltinOp = 0x1b
	ErrorContextNew            BuiltinOp = 0x1c
	ErrorContextDebugMessage   BuiltinOp = 0x1d
	ErrorContextDrop           BuiltinOp = 0x1e
	WaitableSetNew             BuiltinOp = 0x1f
	WaitableSetWait            BuiltinOp = 0x20
	WaitableSetPoll            BuiltinOp = 0x21
	WaitableSetDrop            BuiltinOp = 0x22
	WaitableJoin               BuiltinOp = 0x23
	BackpressureInc            BuiltinOp = 0x24
	BackpressureDec            BuiltinOp = 0x25
	ThreadIndex                BuiltinOp = 0x26
	ThreadNewIndirect          BuiltinOp = 0x27
	ThreadResumeLater          BuiltinOp = 0x28
	ThreadSuspend              BuiltinOp = 0x29
	ThreadSuspendThenResume    BuiltinOp = 0x2a
	ThreadYieldThenResume      BuiltinOp = 0x2b
	ThreadSuspendThenPromote   BuiltinOp = 0x2c
	ThreadYieldThenPromote     BuiltinOp = 0x2d
	ThreadSpawnRef             BuiltinOp = 0x40
	ThreadSpawnIndirect        BuiltinOp = 0x41
	ThreadAvailableParallelism BuiltinOp = 0x42
)
