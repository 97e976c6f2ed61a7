package canon

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Call is a call of a host function by a guest. A stub lifts the arguments, calls typed Go, and
// lowers the result:
//
//	func(c *canon.Call) {
//		host := c.Host.(*Host)
//		at := c.Arg(0).U64()
//		r := c.Result()
//		…
//	}
//
// A stub lifts all arguments before it asks for the Result, whose core value may lie where an
// argument was. It may unwind by Trapf, and nothing else: what goes wrong in the host is part of
// the result.
type Call struct {
	Frame
	// Host is what the instance was given for the functions of the host.
	Host any
	// Func is the function's type.
	Func *types.Func
	// Task lets the result come later.
	Task Task

	args           Value
	out            uint32
	resultInMemory bool
}

// Task is what the package that has tasks gives a Call.
type Task interface {
	// Later lets a stub of an asynchronous function return without a result. The Call stays as it is
	// until done was called, which may happen once, on any goroutine: then finish runs in the
	// component's turn, and lowers the result. Memory is taken again before.
	//
	// cancel is called in the component's turn if the guest asks to cancel the call. It returns at
	// once; done has to be called after it too, and soon. A nil finish says that the call was
	// cancelled and has no result.
	Later(c *Call, cancel func()) (done func(finish func(c *Call)))
}

// Begin makes c ready for a call, as Frame.Begin does: flat are the core parameters that a function
// of type fn has when it is lowered with signature s. A core result comes to lie in flat[0].
func (c *Call) Begin(side Side, mem []byte, flat []plan.Value, fn *types.Func, s *types.Signature) {
	c.Frame.Begin(side, mem, flat)
	c.Func, c.resultInMemory = fn, s.ResultInMemory
	if s.ResultInMemory {
		c.out = uint32(flat[len(s.Params)-1].Bits)
	}
	c.args = c.Lift(fn.Args, s.ArgsInMemory)
}

// Arg returns an argument.
func (c *Call) Arg(i int) Value { return c.args.Field(i) }

// Args returns the tuple of all arguments.
func (c *Call) Args() Value { return c.args }

// Result returns the place of the result, if the function has one.
func (c *Call) Result() Place {
	if c.resultInMemory {
		return c.LowerAt(c.Func.Result, c.out)
	}
	return Place{f: &c.Frame, t: c.Func.Result, flat: true}
}

// Stub is a host function.
type Stub func(c *Call)
