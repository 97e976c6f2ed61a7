package instance

import (
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
	depth   int // stores whose frames are on the stack
}

// message makes the fiber that gets it the one that runs.
type message struct {
	run       func()      // runs it on the stack as it is
	answer    *fiber      // who then gets an answer, or
	thread    *thread     // that run belongs to: the fiber that resumed it last gets the answer
	cancelled bool        // of a thread that goes on
	end       bool        // the thread that waits has to unwind, the goroutine that is idle has to end
	fault     *canon.Trap // of an answer: what run unwound with
}

func (x *Instance) newFiber() *fiber { return &fiber{x: x, inbox: make(chan message)} }

// await waits for a message that is no call, and carries out calls meanwhile.
func (f *fiber) await() message {
	for {
		m := <-f.inbox
		f.x.fiber = f
		if m.run == nil {
			return m
		}
		fault := f.x.catch(m.run)
		m.answer.inbox <- message{fault: fault}
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
	to.inbox <- message{run: f, answer: self}
	self.expect()
}

// catch runs f and returns what it unwound with.
func (x *Instance) catch(f func()) (fault *canon.Trap) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *canon.Trap:
			fault = r
			x.fail(r)
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// work is the life of a fiber that threads begin on.
func (f *fiber) work() {
	defer f.x.goroutines.Done()
	for m := range f.inbox {
		if m.end {
			return
		}
		x := f.x
		x.fiber = f
		fault := x.catch(m.run)
		to := m.thread.resumer
		keep := len(x.idle) < idleFibers && !x.ended()
		if keep {
			x.idle = append(x.idle, f)
		} else {
			x.fibers--
		}
		to.inbox <- message{fault: fault}
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
