package instance

import (
	"fmt"
	"runtime/debug"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// fiber is a goroutine on which threads of the component run. Exactly one fiber of an Instance runs
// at a time: the one that was sent the last message. The others wait for a message.
type fiber struct {
	x     *Instance
	inbox chan message
	// parked are the threads that wait on the fiber, the last one on top of the stack.
	parked []*thread
	// pending is how often the fiber waits for another one to do something. While it does, no
	// thread may park on it: what the fiber waits for could be done first.
	pending int
	// active is how many calls of other fibers run on the stack above the thread that parked last.
	active int
	depth  int // stores whose frames are on the stack
	// last is who gets an answer when a fiber that is not home, and had the loop, ends.
	last answer
}

// message makes the fiber that gets it the one that runs.
type message struct {
	job       func() answer // for a fiber with nothing on its stack
	call      func()        // is run on the stack as it is,
	caller    *fiber        // and this one gets an answer
	cancelled bool          // of a thread that goes on
	end       bool          // the thread that waits has to unwind, the goroutine that is idle has to end
	fault     *canon.Trap   // of an answer: what was done unwound with it
}

// answer says who runs when a job is done.
type answer struct {
	to    *fiber
	fault *canon.Trap
}

func (x *Instance) newFiber() *fiber { return &fiber{x: x, inbox: make(chan message)} }

// await waits for a message that is no call, and carries out calls meanwhile.
func (f *fiber) await() message {
	for {
		m := <-f.inbox
		f.x.fiber = f
		if m.call == nil {
			return m
		}
		f.active++
		fault := f.x.catch(m.call)
		f.active--
		m.caller.inbox <- message{fault: fault}
	}
}

// expect waits until another fiber did something, and unwinds if that failed.
func (f *fiber) expect() {
	f.pending++
	m := f.await()
	f.pending--
	if m.fault != nil {
		panic(m.fault)
	}
}

// delegate runs f on another fiber, which waits for a message.
func (x *Instance) delegate(to *fiber, f func()) {
	self := x.fiber
	to.inbox <- message{call: f, caller: self}
	self.expect()
}

// Panic is the fault of an instance in which the host panicked: where that was, and why. It is a
// mistake of the host, and ends this guest, not those beside it in the process.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string {
	return fmt.Sprintf("internal error in the component's host: %v", p.Value)
}

// catch runs f and returns what it unwound with, which is the fault of the instance then.
func (x *Instance) catch(f func()) (fault *canon.Trap) {
	defer func() {
		switch r := recover().(type) {
		case nil:
			return
		case *canon.Trap:
			fault = r
		default:
			fault = &canon.Trap{Err: &Panic{r, debug.Stack()}}
		}
		x.fail(fault)
	}()
	f()
	return nil
}

// work is the life of a fiber that jobs are done on.
func (f *fiber) work() {
	x := f.x
	defer x.goroutines.Done()
	for m := range f.inbox {
		if m.end {
			return
		}
		x.fiber = f
		a := m.job()
		keep := len(x.idle) < idleFibers && x.fault == nil
		if keep {
			x.idle = append(x.idle, f)
		} else {
			x.fibers--
		}
		a.to.inbox <- message{fault: a.fault}
		if !keep {
			return
		}
	}
}

// idleFiber returns a fiber with nothing on its stack.
func (x *Instance) idleFiber() *fiber {
	if n := len(x.idle); n > 0 {
		f := x.idle[n-1]
		x.idle = x.idle[:n-1]
		return f
	}
	if x.fibers == maxFibers {
		canon.Trapf("more than %d calls wait within components", maxFibers)
	}
	f := x.newFiber()
	x.goroutines.Add(1)
	if err := x.engine.Go(f.work); err != nil {
		x.goroutines.Done()
		panic(&canon.Trap{Err: err})
	}
	x.fibers++
	return f
}
