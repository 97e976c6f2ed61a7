package instance

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Instance is an instance of a component.
type Instance struct {
	program    *Program
	host       any
	looker     Looker // the host, or nil
	engine     Engine
	components []*component
	scheduler

	handles, tasks int
	later          int // calls that the host answers later
	streams        int // ends of streams and futures that the host holds
	calls          []*hostCall
	resources      []*resource    // handles that are gone
	flats          []*values      // of tasks that have ended
	followUps      fifo[followUp] // what the host hears after the operation that runs
}

// scheduler says who has the turn, and who waits for it.
type scheduler struct {
	turn    chan struct{} // full if the turn is taken
	home    *fiber        // the goroutine that has the turn
	atHome  bool          // it waits for the loop to come back
	alone   bool          // the only task waits on its stack
	loop    *fiber        // that has the loop
	fiber   *fiber        // that runs
	current *thread
	waiting []*thread
	streak  int // waits that were answered at once

	idle       []*fiber
	fibers     int
	goroutines sync.WaitGroup

	fault error // why nothing runs any more
	// kill is why the instance has to end, or nil.
	kill  atomic.Pointer[error]
	queue queue
}

// ErrClosed is the fault of an Instance that was closed.
var ErrClosed = errors.New("the component instance is closed")

// New makes an instance: it carries out the plan of a program, which may run code of the guest.
// host is what functions of the host find in their canon.Call. The goroutines that call New and the
// methods of the Instance are ones that may use the engine's stores.
func New(p *Program, engine Engine, host any) (*Instance, error) {
	x := &Instance{program: p, host: host, engine: engine}
	x.looker, _ = host.(Looker)
	x.turn = make(chan struct{}, 1)
	x.home = x.newFiber()
	x.loop, x.fiber = x.home, x.home
	x.queue.wake = make(chan struct{}, 1)
	x.turn <- struct{}{}
	err := x.make()
	<-x.turn
	if err != nil {
		x.Close()
		return nil, fmt.Errorf("instantiating the component: %w", err)
	}
	return x, nil
}

func (x *Instance) make() error {
	linked := x.program.Linked
	x.components = make([]*component, len(linked.Instances))
	all := make([]component, len(linked.Instances))
	for i := range linked.Instances {
		from, c := &linked.Instances[i], &all[i]
		c.x, c.functions, c.mayEnter, c.mayLeave = x, from.Functions, true, true
		if from.Parent != link.None {
			c.parent = x.components[from.Parent]
			c.depth = c.parent.depth + 1
		}
		c.internal.fn, c.internal.in, c.internal.state = internalFunc, c, taskStarted
		c.allocating.task, c.allocating.inline = &c.internal, true
		x.components[i] = c
		if from.Store == link.None {
			continue
		}
		store, err := x.engine.NewStore(int(from.Store), c)
		if err != nil {
			return err
		}
		c.store = store
	}
	of := make([]*component, len(linked.Plan.Stores))
	for i := range linked.Instances {
		if store := linked.Instances[i].Store; store != link.None {
			of[store] = x.components[i]
		}
	}
	_ = x.catch(func() { // it is the fault of x
		for _, store := range linked.Plan.Order {
			of[store].runSteps()
		}
	})
	return x.fault
}

// internalFunc stands for a function of the guest that is called and is not lifted: it may not
// wait, and returns its result itself.
var internalFunc = &link.Func{
	Type:    types.NewFunc(types.Func{}),
	Options: &link.Options{Memory: link.None, Realloc: link.None, PostReturn: link.None, Callback: link.None},
}

// runSteps carries out steps of the plan. A module's start function may call out, and not wait.
func (c *component) runSteps() {
	x := c.x
	c.enterFrom(nil)
	x.current = &thread{task: &c.internal, inline: true}
	outer := c.enterStore()
	err := c.store.Run()
	c.leaveStore(outer)
	x.current = nil
	c.leaveTo(nil)
	if err != nil {
		x.failed(err)
	}
}

// Call answers core code of a component instance. It implements Calls.
func (c *component) Call(function int32, v *[plan.MaxValues]plan.Value, memory []byte) (err error) {
	x := c.x
	defer x.caught(&err)
	if x.fault != nil {
		return x.fault
	}
	f := &c.functions[function]
	operations[f.Op](c, f, (*values)(v), memory)
	if x.followUps.len() > 0 {
		x.follow()
	}
	return nil
}

// caught ends the unwinding of a trap, which becomes the fault of the instance.
func (x *Instance) caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case *canon.Trap:
		x.fail(r)
		*err = x.fault
	default:
		panic(r)
	}
}

// fail makes a trap the fault of the instance, if it has none.
func (x *Instance) fail(t *canon.Trap) {
	if x.fault == nil {
		x.fault = t
		if t.Err != nil {
			x.fault = t.Err
		}
	}
}

// failed unwinds with the error of an engine. What a function of the host unwound with is in it,
// with what the engine knows of the place.
func (x *Instance) failed(err error) {
	if x.fault == nil || errors.Is(err, x.fault) {
		x.fault = err
	}
	panic(&canon.Trap{Err: x.fault})
}

// follow does what the host has to do after an operation.
func (x *Instance) follow() {
	for {
		f, ok := x.followUps.pop()
		if !ok {
			return
		}
		f.tell()
	}
}

// Exports are those of the component.
func (x *Instance) Exports() *link.Instance { return x.program.Linked.Exports }
