package instance

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// invocation is a call by the host.
type invocation struct {
	fn    *link.Func
	lower func(args canon.Place)
	lift  func(result canon.Value)
	begun bool
	ended bool
	done  chan struct{} // closed when ended; nil of an Export
	// exited is called in the turn when the task has ended; nil of what Call makes.
	exited func()
}

func (i *invocation) start(args canon.Place) {
	if i.lower != nil && len(i.fn.Type.Params) > 0 {
		i.lower(args)
	}
}

func (i *invocation) resolve(result canon.Value, _ bool) {
	if i.lift != nil && i.fn.Type.Result != nil {
		i.lift(result)
	}
	i.ended = true
	if i.done != nil {
		close(i.done)
	}
}

// exit hears that the task has ended, which may be long after it had a result.
func (i *invocation) exit() {
	if i.exited != nil {
		i.exited()
	}
}

func (i *invocation) hasEnded() bool { return i.ended }

var errNotLifted = errors.New("the component exports a function of the host, which cannot be called through it")

// Call calls an exported function. lower gives the arguments, whose places are the fields of args;
// lift takes the result. Both are called in the component's turn, and may be nil if there is
// nothing to give or take. Call returns when there is a result; the task may go on after that,
// while another Call or Settle runs. Calls may overlap; none may be made in the component's turn.
//
// If ctx ends, the instance is killed with its cause.
func (x *Instance) Call(ctx context.Context, fn *link.Func, lower func(args canon.Place), lift func(result canon.Value)) error {
	if fn.Import != link.None {
		return errNotLifted
	}
	i := &invocation{fn: fn, lower: lower, lift: lift, done: make(chan struct{})}
	select {
	case x.turn <- struct{}{}:
	default:
		// The goroutine that has the turn begins the call.
		x.postCall(i)
		select {
		case <-i.done:
			return nil
		case x.turn <- struct{}{}:
		case <-ctx.Done():
			x.Kill(context.Cause(ctx))
			x.turn <- struct{}{}
		}
	}
	defer func() { <-x.turn }()
	return x.run(ctx, func() {
		i.begin(x)
		x.drive(i.hasEnded)
	})
}

func (i *invocation) begin(x *Instance) {
	if i.begun {
		return
	}
	i.begun = true
	x.poll()
	x.invoke(i.fn, i, nil)
	x.follow()
}

// run does something in the turn, which the caller has.
func (x *Instance) run(ctx context.Context, f func()) error {
	if x.fault != nil {
		return x.fault
	}
	defer context.AfterFunc(ctx, func() { x.Kill(context.Cause(ctx)) })()
	return x.runHere(f)
}

// runHere is run without a context.
func (x *Instance) runHere(f func()) error {
	if x.fault != nil {
		return x.fault
	}
	x.fiber, x.loop, x.current = x.home, x.home, nil
	if x.catch(f) != nil {
		return x.fault
	}
	return nil
}

// Settle runs tasks that have returned their results until all have ended, or until those that are
// left wait for something that cannot come.
func (x *Instance) Settle(ctx context.Context) error {
	x.turn <- struct{}{}
	defer func() { <-x.turn }()
	return x.run(ctx, func() {
		for x.runPosted() {
			x.poll()
		}
		x.drive(func() bool {
			return x.tasks == 0 || x.nextReady() == nil && !x.mayGoOn()
		})
	})
}

// Drop drops a resource of the component that the host owns. It is called in the component's turn.
func (x *Instance) Drop(of *types.Resource, h canon.Handle) { x.destroy(of, h, nil) }
