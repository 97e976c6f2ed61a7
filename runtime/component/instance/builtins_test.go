package instance_test

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// run makes a body of one function.
func run(code string) string {
	return `(func (export "run") (result i32) (local i32 i64) ` + code + `)`
}

// What is made first has handle 1; a stream and a future have two.
const (
	newStream = `(drop (call $stream.new))` // ends 1 and 2
	newFuture = `(drop (call $future.new))`
	newSet    = `(drop (call $set.new))`
)

func n(i string) string { return `(i32.const ` + i + `)` }

func invoke(name string, args ...string) string {
	s := `(call $` + name
	for _, a := range args {
		s += ` ` + n(a)
	}
	return s + `)`
}

func dropped(s string) string { return `(drop ` + s + `)` }

// TestBuiltins has what each built-in returns, and why it traps.
func TestBuiltins(t *testing.T) {
	for _, test := range []struct {
		name   string
		lifted how
		body   string
		want   uint32
		trap   string
	}{
		{"a resource", plain, run(dropped(invoke("resource.new", "7")) + invoke("resource.rep", "1")), 7, ""},
		{"a resource dropped", plain, run(dropped(invoke("resource.new", "7")) + invoke("resource.drop", "1") + dropped(invoke("resource.new", "9")) + invoke("resource.rep", "1")), 9, ""},
		{"a resource dropped twice", plain, run(dropped(invoke("resource.new", "7")) + invoke("resource.drop", "1") + invoke("resource.drop", "1") + n("0")), 0, "there is no handle"},
		{"a resource that is no resource", plain, run(newSet + invoke("resource.drop", "1") + n("0")), 0, "is no handle"},
		{"a forged handle", plain, run(invoke("resource.rep", "0xffffffff")), 0, "there is no handle"},
		{"handle zero", plain, run(invoke("resource.rep", "0")), 0, "there is no handle"},

		{"context is empty", plain, run(`(call $context.get)`), 0, ""},
		{"context is kept", plain, run(invoke("context.set", "5") + `(i32.add (call $context.get) (call $context.get1))`), 5, ""},
		{"backpressure", blocking, run(`(call $inc) (call $inc) (call $dec) (call $dec)` + n("3")), 3, ""},
		{"backpressure below zero", plain, run(`(call $inc) (call $dec) (call $dec)` + n("3")), 0, "lowers backpressure"},
		{"backpressure without bound", plain, run(`(loop (call $inc) (br 0)) unreachable`), 0, "raises backpressure 65536 times"},
		{"yield", blocking, run(`(call $yield)`), 0, ""},
		{"yield in a function that may not wait", plain, run(`(call $yield)`), 0, ""},
		{"yield and hear of cancellation", blocking, run(`(call $yield-cancellable)`), 0, ""},

		{"task.return", callback, run(invoke("task.return", "8") + n("0")), 8, ""},
		{"task.return, stackful", stackful, `(func (export "run") (call $task.return (i32.const 8)))`, 8, ""},
		{"task.return twice", callback, run(invoke("task.return", "8") + invoke("task.return", "8") + n("0")), 0, "has a result already"},
		{"no task.return", callback, run(n("0")), 0, "ended without a result"},
		{"no task.return, stackful", stackful, `(func (export "run"))`, 0, "ended without a result"},
		{"task.return of another type", callback, run(`(call $task.return-nothing)` + n("0")), 0, "another type"},
		{"task.return where the result is returned", blocking, run(invoke("task.return", "8") + n("0")), 0, "returns its result itself"},
		{"task.cancel without cause", callback, run(`(call $task.cancel)` + n("0")), 0, "was not told"},
		{"task.cancel where the result is returned", blocking, run(`(call $task.cancel)` + n("0")), 0, "returns its result itself"},
		{"a code without meaning", callback, run(invoke("task.return", "8") + n("7")), 0, "no meaning"},
		{"a wait for no set", callback, run(n("0x12")), 0, "there is no waitable set"},
		{"a yield to the loop", callback, run(n("1")) + `(func (export "cb") (param i32 i32 i32) (result i32)
			(call $task.return (i32.add (local.get 0) (i32.const 40))) (i32.const 0))`, 40, ""},

		{"poll", plain, run(newSet + invoke("set.poll", "1", "0")), 0, ""},
		{"poll to an odd address", plain, run(newSet + invoke("set.poll", "1", "2")), 0, "not aligned"},
		{"poll to no memory", plain, run(newSet + invoke("set.poll", "1", "65536")), 0, "outside"},
		{"poll of no set", plain, run(dropped(invoke("resource.new", "1")) + invoke("set.poll", "1", "0")), 0, "is no waitable set"},
		{"wait for ever", blocking, run(newSet + invoke("set.wait", "1", "0")), 0, "deadlock"},
		{"wait for ever in the loop", callback, run(newSet + n("0x12")), 0, "deadlock"},
		{"wait in a function that may not", plain, run(newSet + invoke("set.wait", "1", "0")), 0, "cannot block a synchronous task"},
		{"drop a set", plain, run(newSet + invoke("set.drop", "1") + newSet + n("4")), 4, ""},
		{"drop a full set", plain, run(newStream + newSet + invoke("join", "1", "3") + invoke("set.drop", "3") + n("4")), 0, "not empty"},
		{"leave a set", plain, run(newStream + newSet + invoke("join", "1", "3") + invoke("join", "1", "0") + invoke("set.drop", "3") + n("4")), 4, ""},
		{"join a set to a set", plain, run(newSet + invoke("join", "1", "1") + n("4")), 0, "is no waitable"},
		{"join no set", plain, run(newStream + invoke("join", "1", "2") + n("4")), 0, "is no waitable set"},

		{"an error", plain, run(`(i32.store8 (i32.const 64) (i32.const 65))` + dropped(invoke("error.new", "64", "1")) + invoke("error.message", "1", "8") +
			invoke("error.drop", "1") + `(i32.load8_u (i32.load (i32.const 8)))`), 65, ""},
		{"an error in no memory", plain, run(invoke("error.new", "65536", "1")), 0, "outside"},
		{"an error dropped twice", plain, run(dropped(invoke("error.new", "64", "0")) + invoke("error.drop", "1") + invoke("error.drop", "1") + n("0")), 0, "there is no error context"},
		{"an error that is none", plain, run(newSet + invoke("error.message", "1", "8") + n("0")), 0, "is no error context"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, test.lifted, test.body, nil, test.want, test.trap)
		})
	}
}

// check runs a body, which has to return a number, or to trap.
func check(t *testing.T, lifted how, body string, later canon.Stub, want uint32, trap string) {
	t.Helper()
	if later == nil {
		later = func(*canon.Call) {}
	}
	x := start(t, withBuiltins(lifted, body), functions{"later": later})
	if trap == "" {
		mustReturn(t, x, want, "run")
		return
	}
	mustTrap(t, x, trap, "run")
}
