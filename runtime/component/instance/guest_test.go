package instance_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
)

// A call of these tests takes milliseconds; with other work on the machine, longer.
const callTime = time.Minute

// functions are a host's functions by their names, whatever the interface.
type functions map[string]canon.Stub

var errUnknown = errors.New("the host has no such function")

func (f functions) Function(_, name string, _ *types.Func) (canon.Stub, error) {
	if stub, ok := f[name]; ok {
		return stub, nil
	}
	return nil, errUnknown
}

// guest is a component in text that is ready to be instantiated.
type guest struct {
	program *instance.Program
	engine  *componentengine.Engine
}

func load(t testing.TB, text string, host functions) *guest {
	t.Helper()
	c, err := componentengine.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Validate(c); err != nil {
		t.Fatal(err)
	}
	linked, err := link.Link(c)
	if err != nil {
		t.Fatal(err)
	}
	program, err := instance.Bind(linked, host)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := componentengine.New(linked.Plan)
	if err != nil {
		t.Fatal(err)
	}
	return &guest{program, engine}
}

// run makes an instance, which is closed when the test ends.
func (g *guest) run(t testing.TB, host any) *instance.Instance {
	t.Helper()
	x, err := instance.New(g.program, g.engine, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

func start(t testing.TB, text string, host functions) *instance.Instance {
	t.Helper()
	return load(t, text, host).run(t, nil)
}

// call calls an export with numbers, and returns the number that it returns.
func call(x *instance.Instance, name string, args ...uint32) (result uint32, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	f := x.Exports().Func(name)
	if f == nil {
		return 0, fmt.Errorf("no export %s", name)
	}
	err = x.Call(ctx, f, func(to canon.Place) {
		for i, a := range args {
			to.Field(i).U32(a)
		}
	}, func(v canon.Value) { result = v.U32() })
	return result, err
}

func mustReturn(t testing.TB, x *instance.Instance, want uint32, name string, args ...uint32) {
	t.Helper()
	if got, err := call(x, name, args...); err != nil || got != want {
		t.Fatalf("%s returned %#x, %v, wanted %#x", name, got, err, want)
	}
}

// mustTrap calls an export that has to trap. After that nothing may be called.
func mustTrap(t testing.TB, x *instance.Instance, why, name string, args ...uint32) {
	t.Helper()
	got, err := call(x, name, args...)
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Fatalf("%s returned %#x, %v, wanted the trap %q", name, got, err, why)
	}
	if _, again := call(x, name, args...); again == nil || again.Error() != err.Error() {
		t.Fatalf("after the trap %s ended with %v, wanted the same trap again", name, again)
	}
}

// how says how a function of a body is lifted.
type how string

const (
	plain    how = `(canon lift (core func $m "run"))`
	blocking how = `(canon lift (core func $m "run")) ;; async`
	callback how = `(canon lift (core func $m "run") async (memory $memory "mem") (callback (func $m "cb")))`
	stackful how = `(canon lift (core func $m "run") async (memory $memory "mem"))`
)

// withBuiltins makes a component of the functions of a core module, which may call all built-ins,
// and exports its function run. Handles are numbers from 1 on; the memory is free from 64 on.
func withBuiltins(lifted how, body string) string {
	async := "async"
	if lifted == plain {
		async = ""
	}
	if !strings.Contains(body, `"cb"`) {
		body += `(func (export "cb") (param i32 i32 i32) (result i32) unreachable)`
	}
	var canons, imports, exports strings.Builder
	for _, b := range builtins {
		name, canonical, signature := b[0], b[1], b[2]
		fmt.Fprintf(&canons, "(core func $%s (canon %s))\n", name, canonical)
		fmt.Fprintf(&imports, "(import \"\" \"%s\" (func $%s %s))\n", name, name, signature)
		fmt.Fprintf(&exports, "(export \"%s\" (func $%s))\n", name, name)
	}
	return fmt.Sprintf(`(component
		(import "later" (func $later-import async (param "x" u32) (result u32)))
		(core module $Memory
			(memory (export "mem") 1)
			(global $next (mut i32) (i32.const 1024))
			(func (export "realloc") (param i32 i32 i32 i32) (result i32)
				(global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
				(global.get $next)
				(global.set $next (i32.add (global.get $next) (local.get 3)))))
		(core instance $memory (instantiate $Memory))
		(type $S (stream u8)) (type $SU (stream)) (type $SC (stream (tuple char))) (type $F (future u32)) (type $FU (future))
		(type $R (resource (rep i32)))
		%s
		(core module $M (import "" "mem" (memory 1)) %s %s)
		(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) %s))))
		(func (export "run") %s (result u32) %s
	))`, canons.String(), imports.String(), body, exports.String(), async, string(lifted))
}

const inMemory = `(memory $memory "mem")`

// builtins have names, canonical definitions and core types.
var builtins = [][3]string{
	{"later", `lower (func $later-import) async ` + inMemory, "(param i32 i32) (result i32)"},
	{"later-sync", `lower (func $later-import)`, "(param i32) (result i32)"},
	{"resource.new", "resource.new $R", "(param i32) (result i32)"},
	{"resource.rep", "resource.rep $R", "(param i32) (result i32)"},
	{"resource.drop", "resource.drop $R", "(param i32)"},
	{"task.return", "task.return (result u32)", "(param i32)"},
	{"task.return-nothing", "task.return", ""},
	{"task.cancel", "task.cancel", ""},
	{"subtask.cancel", "subtask.cancel", "(param i32) (result i32)"},
	{"subtask.cancel-async", "subtask.cancel async", "(param i32) (result i32)"},
	{"subtask.drop", "subtask.drop", "(param i32)"},
	{"context.get", "context.get i32 0", "(result i32)"},
	{"context.set", "context.set i32 0", "(param i32)"},
	{"context.get1", "context.get i32 1", "(result i32)"},
	{"yield", "thread.yield", "(result i32)"},
	{"yield-cancellable", "thread.yield cancellable", "(result i32)"},
	{"inc", "backpressure.inc", ""},
	{"dec", "backpressure.dec", ""},
	{"set.new", "waitable-set.new", "(result i32)"},
	{"set.wait", "waitable-set.wait " + inMemory, "(param i32 i32) (result i32)"},
	{"set.poll", "waitable-set.poll " + inMemory, "(param i32 i32) (result i32)"},
	{"set.drop", "waitable-set.drop", "(param i32)"},
	{"join", "waitable.join", "(param i32 i32)"},
	{"stream.new", "stream.new $S", "(result i64)"},
	{"stream.read", "stream.read $S async " + inMemory, "(param i32 i32 i32) (result i32)"},
	{"stream.write", "stream.write $S async " + inMemory, "(param i32 i32 i32) (result i32)"},
	{"stream.read-sync", "stream.read $S " + inMemory, "(param i32 i32 i32) (result i32)"},
	{"stream.cancel-read", "stream.cancel-read $S", "(param i32) (result i32)"},
	{"stream.cancel-write", "stream.cancel-write $S async", "(param i32) (result i32)"},
	{"stream.drop-readable", "stream.drop-readable $S", "(param i32)"},
	{"stream.drop-writable", "stream.drop-writable $S", "(param i32)"},
	{"unit.new", "stream.new $SU", "(result i64)"},
	{"unit.read", "stream.read $SU async", "(param i32 i32 i32) (result i32)"},
	{"unit.write", "stream.write $SU async", "(param i32 i32 i32) (result i32)"},
	{"chars.new", "stream.new $SC", "(result i64)"},
	{"chars.read", "stream.read $SC async " + inMemory, "(param i32 i32 i32) (result i32)"},
	{"chars.write", "stream.write $SC async " + inMemory, "(param i32 i32 i32) (result i32)"},
	{"future.new", "future.new $F", "(result i64)"},
	{"future.read", "future.read $F async " + inMemory, "(param i32 i32) (result i32)"},
	{"future.write", "future.write $F async " + inMemory, "(param i32 i32) (result i32)"},
	{"future.cancel-read", "future.cancel-read $F", "(param i32) (result i32)"},
	{"future.cancel-write", "future.cancel-write $F", "(param i32) (result i32)"},
	{"future.drop-readable", "future.drop-readable $F", "(param i32)"},
	{"future.drop-writable", "future.drop-writable $F", "(param i32)"},
	{"error.new", "error-context.new " + inMemory, "(param i32 i32) (result i32)"},
	{"error.message", "error-context.debug-message " + inMemory + ` (realloc (func $memory "realloc"))`, "(param i32 i32)"},
	{"error.drop", "error-context.drop", "(param i32)"},
}
