package wasmtime

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// killTime is how long a kill may take. On a busy machine, and with the race detector, tests get
// more.
const killTime = 100 * time.Millisecond

// waiter is a command of WASI 0.3 with a callback that reads its input to the end. While it waits,
// no code of it is on a stack.
const waiter = `(component $waiter
	(import "wasi:cli/types@0.3.0" (instance $types
		(type $e (enum "io" "illegal-byte-sequence" "pipe")) (export "error-code" (type $error-code (eq $e)))))
	(alias export $types "error-code" (type $error-code))
	(import "wasi:cli/stdin@0.3.0" (instance $stdin
		(alias outer $waiter $error-code (type $outer)) (export "error-code" (type $code (eq $outer)))
		(export "read-via-stream" (func (result (tuple (stream u8) (future (result (error $code)))))))))
	(type $bytes (stream u8))
	(core module $memory (memory (export "memory") 1))
	(core instance $m (instantiate $memory))
	(alias core export $m "memory" (core memory $mem))
	(core func $stdin (canon lower (func $stdin "read-via-stream") (memory $mem)))
	(core func $read (canon stream.read $bytes async (memory $mem)))
	(core func $new (canon waitable-set.new))
	(core func $join (canon waitable.join))
	(core func $return (canon task.return (result (result))))
	(core module $main
		(import "host" "stdin" (func $stdin (param i32)))
		(import "host" "read" (func $read (param i32 i32 i32) (result i32)))
		(import "host" "new" (func $new (result i32)))
		(import "host" "join" (func $join (param i32 i32)))
		(import "host" "return" (func $return (param i32)))
		(import "host" "memory" (memory 1))
		(global $set (mut i32) (i32.const 0))
		(func $next (param $status i32) (result i32)
			(loop $more
				(if (i32.eq (local.get $status) (i32.const -1)) (then (return (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))))
				(if (i32.eqz (i32.and (local.get $status) (i32.const 15))) (then
					(local.set $status (call $read (i32.load (i32.const 0)) (i32.const 64) (i32.const 64)))
					(br $more))))
			(call $return (i32.const 0))
			(i32.const 0))
		(func (export "run") (result i32)
			(global.set $set (call $new))
			(call $stdin (i32.const 0))
			(call $join (i32.load (i32.const 0)) (global.get $set))
			(call $next (i32.const 0)))
		(func (export "callback") (param i32 i32 i32) (result i32) (call $next (local.get 2))))
	(core instance $i (instantiate $main (with "host" (instance (export "stdin" (func $stdin)) (export "read" (func $read))
		(export "new" (func $new)) (export "join" (func $join)) (export "return" (func $return)) (export "memory" (memory $mem))))))
	(alias core export $i "callback" (core func $callback))
	(func $run (result (result)) (canon lift (core func $i "run") async (callback $callback)))
	(instance $cli (export "run" (func $run)))
	(export "wasi:cli/run@0.3.0" (instance $cli)))`

// asyncRun makes the type of run asynchronous, for which wasmtime-go's text format has no word: a
// function without parameters that returns result is in the file once.
func asyncRun(t testing.TB, file string) string {
	t.Helper()
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before := []byte("\x6a\x00\x00\x40\x00\x00")
	if n := bytes.Count(wasm, before); n != 1 {
		t.Fatalf("%d functions look like run", n)
	}
	wasm = bytes.Replace(wasm, before, []byte("\x6a\x00\x00\x43\x00\x00"), 1)
	async := filepath.Join(t.TempDir(), "async.wasm")
	if err := os.WriteFile(async, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return async
}

// TestKillComponents: a kill ends a component at once, in each of these states.
func TestKillComponents(t *testing.T) {
	e := newEngine(t)
	all := kitchens(t)
	all["callback"] = asyncRun(t, wat(t, waiter))
	for _, c := range []struct{ name, version, command, says string }{
		{"spins in 0.2", "0.2", "loop", "looping\n"},
		{"spins in 0.3", "0.3", "loop", "looping\n"},
		{"spins in a wrapped module", "wrapped", "spin", "spinning\n"},
		{"blocks for a pollable", "0.2", "sleep", "sleeping\n"},
		{"waits in waitable-set.wait", "0.3", "sleep", "sleeping\n"},
		{"polls", "wrapped", "sleep", "sleeping\n"},
		{"splices its input", "0.2", "cat", "fed\n"},
		{"reads a stream in waitable-set.wait", "0.3", "cat", "fed\n"},
		{"reads its input through the adapter", "wrapped", "cat", "fed\n"},
		{"waits for its callback", "callback", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, feed := startFed(t, e, all[c.version], c.command)
			if c.command == "cat" || c.version == "callback" {
				if _, err := feed.Write([]byte("fed\n")); err != nil {
					t.Fatal(err)
				}
			}
			r.says(c.says)
			began := time.Now()
			r.process.Stop(0)
			exit := r.wait()
			took := time.Since(began)
			if exit.Code != 137 || exit.Reason != runtime.Error || exit.Message != messageKilled {
				t.Errorf("exit %+v", exit)
			}
			t.Logf("killed in %v", took)
			if took > killTime && (!raceDetector || took > 10*killTime) {
				t.Errorf("the kill took %v", took)
			}
		})
	}
}

// TestGracePeriodOfComponents: a component that waits for input ends by itself when it is stopped.
func TestGracePeriodOfComponents(t *testing.T) {
	e := newEngine(t)
	all := kitchens(t)
	all["callback"] = asyncRun(t, wat(t, waiter))
	for version, file := range all {
		t.Run(version, func(t *testing.T) {
			r, feed := startFed(t, e, file, "cat")
			if _, err := feed.Write([]byte("fed\n")); err != nil {
				t.Fatal(err)
			}
			if version != "callback" {
				r.says("fed\n")
			}
			r.process.Stop(time.Hour)
			if exit := r.wait(); exit.Code != 0 || exit.Reason != runtime.Completed {
				t.Errorf("exit %+v", exit)
			}
		})
	}
	r := start(t, e, all["0.3"], runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", "sleep"}}})
	r.says("sleeping")
	began := time.Now()
	r.process.Stop(50 * time.Millisecond)
	if exit := r.wait(); exit.Code != 137 || time.Since(began) < 50*time.Millisecond {
		t.Errorf("one that does not read: after %v: %+v", time.Since(began), exit)
	}
}

// TestStartOfComponentsGivesUp: a component that spins before it is there ends with the context of
// its Start.
func TestStartOfComponentsGivesUp(t *testing.T) {
	e := newEngine(t)
	file := wat(t, strings.Replace(commandOf(`i32.const 0`), "(memory 1)", "(memory 1) (func $f (loop $l (br $l))) (start $f)", 1))
	spec := runtime.Spec{Module: file, Digest: guests.Digest(t, file), Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}
	spec.Args = []string{"x"}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := e.Start(ctx, spec, runtime.Streams{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the start: %v", err)
	}
	if took := time.Since(began); took > patience/4 {
		t.Errorf("it took %v", took)
	}
}

// TestCloseStopsComponents: no component outlives its engine.
func TestCloseStopsComponents(t *testing.T) {
	e := newEngine(t)
	var all []*guestRun
	for _, version := range []string{"0.2", "0.3"} {
		for _, command := range []string{"loop", "sleep"} {
			r := start(t, e, guests.Component(t, "kitchen-"+version), runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", command}}})
			r.says("ing\n")
			all = append(all, r)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for _, r := range all {
		select {
		case <-r.process.Done():
			if exit := r.process.Exit(); exit.Code != 137 {
				t.Errorf("exit %+v", exit)
			}
		default:
			t.Error("a component outlives its engine")
		}
	}
}

// TestComponentsLeaveNothing starts and ends components in all ways, and checks that the process
// does not grow.
func TestComponentsLeaveNothing(t *testing.T) {
	e := newEngine(t)
	all := kitchens(t)
	delete(all, "wrapped")
	all["callback"] = asyncRun(t, wat(t, waiter))
	root := t.TempDir()
	spec := runtime.Spec{Mounts: []runtime.Mount{{Host: root, Guest: "/"}}}
	hello3 := guests.Component(t, "hello-0.3")
	cycle := func(n int) {
		for i := range n {
			for version, file := range all {
				if version == "callback" {
					startWith(t, e, hello3, spec, runtime.Streams{}).wait()
				}
				s := spec
				s.Args = []string{"kitchen", []string{"args", "exit 3", "trap", "sleep", "cat", "poll", "loop"}[i%7]}
				s.Args = append(s.Args[:1], strings.Fields(s.Args[1])...)
				r := startWith(t, e, file, s, runtime.Streams{Stdin: strings.NewReader("x")})
				if i%7 == 3 || i%7 == 6 {
					r.process.Stop(0)
				}
				r.wait()
			}
		}
	}
	cycle(21)
	before := takeFootprint(t)
	cycle(70)
	after := takeFootprint(t)
	t.Logf("before %+v, after %+v", before, after)
	if after.descriptors > before.descriptors+2 || after.threads > before.threads+8 || after.goroutines > before.goroutines+4 ||
		after.maps > before.maps+100 || after.rss > before.rss+20<<10 {
		t.Errorf("the process grew: before %+v, after %+v", before, after)
	}
	storeHandles.mu.Lock()
	numbers := len(*storeHandles.list.Load()) - len(storeHandles.free)
	storeHandles.mu.Unlock()
	if numbers != 0 {
		t.Errorf("%d numbers of stores are in use", numbers)
	}
}
