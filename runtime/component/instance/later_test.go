package instance_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
)

// soon answers with twice the argument, from another goroutine.
func soon(c *canon.Call) {
	at := c.Arg(0).U32()
	done := c.Task.Later(c, nil)
	go done(func(c *canon.Call) { c.Result().U32(2 * at) })
}

// now answers at once.
func now(c *canon.Call) { c.Result().U32(2 * c.Arg(0).U32()) }

// never answers only if it is cancelled.
func never(c *canon.Call) {
	var done func(func(*canon.Call))
	done = c.Task.Later(c, func() { done(nil) })
}

// slow ends when the turn comes after it was cancelled.
func slow(c *canon.Call) {
	x := instance.Of(c)
	var done func(func(*canon.Call))
	done = c.Task.Later(c, func() { x.Post(func() { done(nil) }) })
}

// wilful answers with a number when it is to be cancelled.
func wilful(c *canon.Call) {
	var done func(func(*canon.Call))
	done = c.Task.Later(c, func() { done(func(c *canon.Call) { c.Result().U32(9) }) })
}

const (
	begun     = `(local.set 0 (i32.shr_u (call $later (i32.const 21) (i32.const 200)) (i32.const 4)))`
	joined    = begun + newSet + `(call $join (local.get 0) (i32.const 2))`
	waited    = `(call $set.wait (i32.const 2) (i32.const 8))`
	answer    = `(i32.load (i32.const 200))`
	state     = `(i32.load (i32.const 12))`
	dropIt    = `(call $subtask.drop (local.get 0))`
	cancelled = `(call $subtask.cancel (local.get 0))`
)

// TestLater has what a guest sees of calls that the host answers later.
func TestLater(t *testing.T) {
	for _, test := range []struct {
		name   string
		later  canon.Stub
		lifted how
		code   string
		want   uint32
		trap   string
	}{
		{"at once", now, blocking, `(call $later (i32.const 21) (i32.const 200))`, 2, ""},
		{"at once, the result", now, blocking, dropped(`(call $later (i32.const 21) (i32.const 200))`) + answer, 42, ""},
		{"at once, in a function that may not wait", now, plain, `(call $later-sync (i32.const 21))`, 42, ""},
		{"later", soon, blocking, `(call $later (i32.const 21) (i32.const 200))`, 0x11, ""},
		{"wait", soon, blocking, joined + dropped(waited) + answer, 42, ""},
		{"wait for its state", soon, blocking, joined + dropped(waited) + state, 2, ""},
		{"wait in the call", soon, blocking, `(call $later-sync (i32.const 21))`, 42, ""},
		{"wait in the call, in a function that may not", never, plain, `(call $later-sync (i32.const 21))`, 0, "cannot block"},
		{"drop it at its end", soon, blocking, joined + dropped(waited) + dropIt + n("5"), 5, ""},
		{"drop it before", never, blocking, begun + dropIt + n("5"), 0, "whose end it was not told"},
		{"cancel and wait", never, blocking, begun + cancelled, 4, ""},
		{"cancel, but it has a result", wilful, blocking, begun + cancelled, 2, ""},
		{"cancel, and wait for it", slow, blocking, begun + cancelled, 4, ""},
		{"cancel in a function that may not wait", never, plain, begun + cancelled, 4, ""},
		{"cancel and wait in a function that may not", slow, plain, begun + cancelled, 0, "cannot block"},
		{"cancel, at once", never, blocking, begun + `(call $subtask.cancel-async (local.get 0))`, 4, ""},
		{"cancel and go on", slow, blocking, begun + `(call $subtask.cancel-async (local.get 0))`, 0xffff_ffff, ""},
		{"cancel and wait later", slow, blocking, joined + dropped(`(call $subtask.cancel-async (local.get 0))`) + dropped(waited) + state, 4, ""},
		{"cancel twice", slow, blocking, begun + dropped(`(call $subtask.cancel-async (local.get 0))`) + cancelled, 0, "twice"},
		{"cancel what has ended", soon, blocking, joined + dropped(waited) + cancelled, 0, "whose end it was told"},
		{"cancel and wait, in a set", never, blocking, joined + cancelled, 0, "in a waitable set"},
		{"cancel what is no subtask", never, blocking, newSet + `(call $subtask.cancel (i32.const 1))`, 0, "is no subtask"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, test.lifted, run(test.code), test.later, test.want, test.trap)
		})
	}
}

// TestLaterInLoop waits in the event loop, without a stack.
func TestLaterInLoop(t *testing.T) {
	body := run(joined+n("0x22")) + `(func (export "cb") (param i32 i32 i32) (result i32)
		(call $task.return (i32.add (i32.load (i32.const 200)) (local.get 2))) (i32.const 0))`
	check(t, callback, body, soon, 44, "")
}

// TestResultToNoMemory answers later to an address that is not there.
func TestResultToNoMemory(t *testing.T) {
	check(t, blocking, run(dropped(`(call $later (i32.const 1) (i32.const 65536))`)+newSet+invoke("join", "1", "2")+waited), soon, 0, "outside of the memory")
}

// TestOverlappingCalls has several goroutines call one instance, each of whose calls waits.
func TestOverlappingCalls(t *testing.T) {
	const calls = 20
	for _, test := range []struct {
		name   string
		lifted how
		body   string
	}{
		{"in the loop", callback, `(func (export "run") (result i32) (local i32 i32)
			(local.set 0 (i32.shr_u (call $later (i32.const 21) (i32.const 200)) (i32.const 4)))
			(local.set 1 (call $set.new))
			(call $join (local.get 0) (local.get 1))
			(i32.or (i32.shl (local.get 1) (i32.const 4)) (i32.const 2)))
			(func (export "cb") (param i32 i32 i32) (result i32)
				(call $task.return (i32.load (i32.const 200))) (i32.const 0))`},
		{"in the guest", blocking, run(`(call $later-sync (i32.const 21))`)},
		{"in the guest, after it returned", callback, run(invoke("task.return", "42") + dropped(`(call $later-sync (i32.const 21))`) + n("0"))},
		{"in the loop, then in the guest", callback, run(n("1")) + `(func (export "cb") (param i32 i32 i32) (result i32)
			(call $task.return (call $later-sync (i32.const 21))) (i32.const 0))`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			x := start(t, withBuiltins(test.lifted, test.body), functions{"later": soon})
			var group sync.WaitGroup
			for range calls {
				group.Go(func() {
					if got, err := call(x, "run"); err != nil || got != 42 {
						t.Errorf("run returned %d, %v", got, err)
					}
				})
			}
			group.Wait()
		})
	}
}

var errTest = errors.New("the test says so")

// TestKill ends instances that wait, each in another way.
func TestKill(t *testing.T) {
	for _, test := range []struct {
		name   string
		lifted how
		code   string
	}{
		{"in the guest", blocking, joined + waited},
		{"in a call", blocking, `(call $later-sync (i32.const 21))`},
		{"in the loop", callback, joined + n("0x22")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			waits := make(chan struct{})
			x := start(t, withBuiltins(test.lifted, run(test.code)), functions{"later": func(c *canon.Call) {
				never(c)
				close(waits)
			}})
			go func() {
				<-waits
				x.Kill(errTest)
			}()
			if _, err := call(x, "run"); !errors.Is(err, errTest) {
				t.Errorf("run ended with %v, wanted what it was killed with", err)
			}
			x.Close()
			if _, err := call(x, "run"); !errors.Is(err, errTest) {
				t.Errorf("after the end run ended with %v", err)
			}
		})
	}
}

// TestContextEnds has the context of a call kill the instance.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	x := start(t, withBuiltins(blocking, run(joined+waited)), functions{"later": func(c *canon.Call) {
		never(c)
		cancel(errTest)
	}})
	if err := x.Call(ctx, x.Exports().Func("run"), nil, nil); !errors.Is(err, errTest) {
		t.Errorf("the call ended with %v, wanted the cause of its context", err)
	}
}

// TestHostUnwinds has a host function end the guest with an error of its own.
func TestHostUnwinds(t *testing.T) {
	x := start(t, withBuiltins(blocking, run(`(call $later-sync (i32.const 21))`)), functions{"later": func(*canon.Call) {
		panic(&canon.Trap{Err: errTest})
	}})
	if _, err := call(x, "run"); !errors.Is(err, errTest) {
		t.Errorf("run ended with %v, wanted the host's error", err)
	}
}

// TestSettle has a task go on after it has returned.
func TestSettle(t *testing.T) {
	var mu sync.Mutex
	called := 0
	body := run(invoke("task.return", "7")+joined+n("0x22")) + `(func (export "cb") (param i32 i32 i32) (result i32)
		(drop (call $later (i32.const 0) (i32.const 200))) (i32.const 0))`
	x := start(t, withBuiltins(callback, body), functions{"later": func(c *canon.Call) {
		mu.Lock()
		defer mu.Unlock()
		called++
		soon(c)
	}})
	mustReturn(t, x, 7, "run")
	if err := x.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if called != 2 {
		t.Errorf("the host was called %d times, wanted 2: the task did not go on", called)
	}
}

// TestOf has a host function find its instance, and post to it.
func TestOf(t *testing.T) {
	var x *instance.Instance
	posted := false
	x = start(t, withBuiltins(blocking, run(joined+dropped(waited)+answer)), functions{"later": func(c *canon.Call) {
		if instance.Of(c) != x {
			t.Error("the call is of another instance")
		}
		done := c.Task.Later(c, nil)
		instance.Of(c).Post(func() {
			posted = true
			done(func(c *canon.Call) { c.Result().U32(1) })
		})
	}})
	mustReturn(t, x, 1, "run")
	if !posted {
		t.Error("what was posted was not done")
	}
}

// TestKillAtAnyTime ends instances after a number of calls of the host, while several goroutines
// call them: in the guest, in the loop, and while a call begins.
func TestKillAtAnyTime(t *testing.T) {
	const calls = 4
	endless := `(func (export "run") (result i32) (loop (drop (call $later-sync (i32.const 1))) (br 0)) unreachable)`
	looping := `(func (export "run") (result i32) (i32.const 1))
		(func (export "cb") (param i32 i32 i32) (result i32) (drop (call $later-sync (i32.const 1))) (i32.const 1))`
	for _, lifted := range []struct {
		how
		body string
	}{{blocking, endless}, {callback, looping}} {
		g := load(t, withBuiltins(lifted.how, lifted.body), functions{"later": func(c *canon.Call) {
			c.Host.(func(*instance.Instance))(instance.Of(c))
			soon(c)
		}})
		for after := range 40 {
			var count atomic.Int32
			x := g.run(t, func(x *instance.Instance) {
				if int(count.Add(1)) == after {
					go x.Kill(errTest)
				}
			})
			if after == 0 {
				x.Kill(errTest)
			}
			var group sync.WaitGroup
			for range calls {
				group.Go(func() {
					if _, err := call(x, "run"); !errors.Is(err, errTest) {
						t.Errorf("run ended with %v, wanted what it was killed with", err)
					}
				})
			}
			group.Wait()
			x.Close()
		}
	}
}
