package instance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// soonText answers with a text, from another goroutine.
func soonText(c *canon.Call) {
	done := c.Task.Later(c, nil)
	go done(func(c *canon.Call) { c.Result().String("hello") })
}

const allocating = `(core module $Memory (memory (export "mem") 1)
		(func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 512)))
	(core instance $memory (instantiate $Memory))`

// TestLateText has the guest's allocator called while the guest waits: on the stack that waits.
func TestLateText(t *testing.T) {
	x := start(t, `(component
		(import "later" (func $later async (result string)))
		`+allocating+`
		(core func $later (canon lower (func $later) async (memory $memory "mem") (realloc (func $memory "realloc"))))
		(core func $set.new (canon waitable-set.new))
		(core func $join (canon waitable.join))
		(core func $wait (canon waitable-set.wait (memory $memory "mem")))
		(core module $M (import "" "mem" (memory 1))
			(import "" "later" (func $later (param i32) (result i32)))
			(import "" "set.new" (func $set.new (result i32)))
			(import "" "join" (func $join (param i32 i32)))
			(import "" "wait" (func $wait (param i32 i32) (result i32)))
			(func (export "run") (result i32)
				(call $join (i32.shr_u (call $later (i32.const 16)) (i32.const 4)) (call $set.new))
				(drop (call $wait (i32.const 2) (i32.const 8)))
				(i32.load8_u (i32.load (i32.const 16)))))
		(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) (export "later" (func $later))
			(export "set.new" (func $set.new)) (export "join" (func $join)) (export "wait" (func $wait))))))
		(func (export "run") async (result u32) (canon lift (core func $m "run"))))`, functions{"later": soonText})
	mustReturn(t, x, 'h', "run")
}

// TestTextOfTask has a component return a text later to one that waits in the call.
func TestTextOfTask(t *testing.T) {
	x := start(t, `(component
		(import "later" (func $later async (result string)))
		(component $B
			(import "later" (func $later async (result string)))
			`+allocating+`
			(core func $later (canon lower (func $later) async (memory $memory "mem") (realloc (func $memory "realloc"))))
			(core func $set.new (canon waitable-set.new))
			(core func $join (canon waitable.join))
			(core func $return (canon task.return (result string) (memory $memory "mem")))
			(core module $M (import "" "mem" (memory 1))
				(import "" "later" (func $later (param i32) (result i32)))
				(import "" "set.new" (func $set.new (result i32)))
				(import "" "join" (func $join (param i32 i32)))
				(import "" "return" (func $return (param i32 i32)))
				(func (export "greet") (result i32)
					(call $join (i32.shr_u (call $later (i32.const 16)) (i32.const 4)) (call $set.new))
					(i32.const 0x22))
				(func (export "cb") (param i32 i32 i32) (result i32)
					(call $return (i32.load (i32.const 16)) (i32.load (i32.const 20)))
					(i32.const 0)))
			(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) (export "later" (func $later))
				(export "set.new" (func $set.new)) (export "join" (func $join)) (export "return" (func $return))))))
			(func (export "greet") async (result string) (canon lift (core func $m "greet") async (memory $memory "mem")
				(realloc (func $memory "realloc")) (callback (func $m "cb")))))
		(instance $b (instantiate $B (with "later" (func $later))))
		(component $A
			(import "greet" (func $greet async (result string)))
			`+allocating+`
			(core func $greet (canon lower (func $greet) (memory $memory "mem") (realloc (func $memory "realloc"))))
			(core module $M (import "" "mem" (memory 1)) (import "" "greet" (func $greet (param i32)))
				(func (export "run") (result i32)
					(call $greet (i32.const 16))
					(i32.add (i32.load8_u (i32.load (i32.const 16))) (i32.load (i32.const 20)))))
			(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) (export "greet" (func $greet))))))
			(func (export "run") async (result u32) (canon lift (core func $m "run"))))
		(instance $a (instantiate $A (with "greet" (func $b "greet"))))
		(export "run" (func $a "run")))`, functions{"later": soonText})
	mustReturn(t, x, 'h'+5, "run")
}

// bargeIn makes a component that waits in its store, and another one that then calls it.
func bargeIn(code string) string {
	return `(component
		(import "later" (func $later async (param "x" u32) (result u32)))
		(component $A
			(import "later" (func $later async (param "x" u32) (result u32)))
			(core func $later (canon lower (func $later)))
			(core module $M (import "" "later" (func $later (param i32) (result i32)))
				(global $n (mut i32) (i32.const 0))
				(func (export "drop") (param i32) (global.set $n (local.get 0)))
				(func (export "hold") (result i32) (call $later (i32.const 50)))
				(func (export "count") (result i32) (global.get $n)))
			(core instance $m (instantiate $M (with "" (instance (export "later" (func $later))))))
			(type $R (resource (rep i32) (dtor (func $m "drop"))))
			(core func $new (canon resource.new $R))
			(core module $N (import "" "new" (func $new (param i32) (result i32))) (func (export "make") (result i32) (call $new (i32.const 9))))
			(core instance $n (instantiate $N (with "" (instance (export "new" (func $new))))))
			(export $R' "r" (type $R))
			(func (export "make") (result (own $R')) (canon lift (core func $n "make")))
			(func (export "hold") async (result u32) (canon lift (core func $m "hold")))
			(func (export "count") (result u32) (canon lift (core func $m "count"))))
		(instance $a (instantiate $A (with "later" (func $later))))
		(component $B
			(import "a" (instance $a
				(export "r" (type $R (sub resource)))
				(export "make" (func (result (own $R))))
				(export "hold" (func async (result u32)))
				(export "count" (func (result u32)))))
			(alias export $a "r" (type $R))
			(core module $Memory (memory (export "mem") 1))
			(core instance $memory (instantiate $Memory))
			(core func $make (canon lower (func $a "make")))
			(core func $hold (canon lower (func $a "hold") async (memory $memory "mem")))
			(core func $count (canon lower (func $a "count")))
			(core func $drop (canon resource.drop $R))
			(core func $set.new (canon waitable-set.new))
			(core func $join (canon waitable.join))
			(core func $wait (canon waitable-set.wait (memory $memory "mem")))
			(core func $cancel (canon subtask.cancel))
			(core module $M (import "" "mem" (memory 1))
				(import "" "make" (func $make (result i32)))
				(import "" "hold" (func $hold (param i32) (result i32)))
				(import "" "count" (func $count (result i32)))
				(import "" "drop" (func $drop (param i32)))
				(import "" "set.new" (func $set.new (result i32)))
				(import "" "join" (func $join (param i32 i32)))
				(import "" "wait" (func $wait (param i32 i32) (result i32)))
				(import "" "cancel" (func $cancel (param i32) (result i32)))
				(func (export "run") (result i32) (local i32) ` + code + `))
			(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) (export "make" (func $make))
				(export "hold" (func $hold)) (export "count" (func $count)) (export "drop" (func $drop)) (export "set.new" (func $set.new))
				(export "join" (func $join)) (export "wait" (func $wait)) (export "cancel" (func $cancel))))))
			(func (export "run") async (result u32) (canon lift (core func $m "run"))))
		(instance $b (instantiate $B (with "a" (instance $a))))
		(export "run" (func $b "run")))`
}

// TestBargeIn has a component that waits be called all the same: its destructor, a function that is
// not async, and a function that is, which has to wait its turn.
func TestBargeIn(t *testing.T) {
	for _, test := range []struct {
		name  string
		later canon.Stub
		code  string
		want  uint32
	}{
		{"it waits", soon, `(call $hold (i32.const 16))`, 1 | 1<<4},
		{"a destructor and a function", soon, `(drop (call $make)) (drop (call $hold (i32.const 16))) (call $drop (i32.const 1)) (call $count)`, 9},
		{"a second call waits to begin", soon, `(drop (call $hold (i32.const 16))) (call $hold (i32.const 20))`, 0 | 2<<4},
		{"both end, one after the other", soon, `(drop (call $hold (i32.const 16))) (drop (call $hold (i32.const 20))) (drop (call $set.new))
			(call $join (i32.const 1) (i32.const 3)) (call $join (i32.const 2) (i32.const 3))
			(loop
				(drop (call $wait (i32.const 3) (i32.const 8)))
				(br_if 0 (i32.eqz (i32.load (i32.const 20)))))
			(i32.add (i32.load (i32.const 16)) (i32.load (i32.const 20)))`, 200},
		{"a call that has not begun is cancelled", never, `(drop (call $hold (i32.const 16))) (drop (call $hold (i32.const 20))) (call $cancel (i32.const 2))`, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mustReturn(t, start(t, bargeIn(test.code), functions{"later": test.later}), test.want, "run")
		})
	}
}

// blockers makes many components that wait in their stores, and one that calls all of them.
func blockers(count int) string {
	var instances, takes, lowered, gives, imports, exports, calls strings.Builder
	for i := range count {
		fmt.Fprintf(&instances, "(instance $c%d (instantiate $C (with \"later\" (func $later))))\n", i)
		fmt.Fprintf(&takes, "(import \"f%d\" (func $f%d async (result u32)))\n", i, i)
		fmt.Fprintf(&gives, "(with \"f%d\" (func $c%d \"hold\"))", i, i)
		fmt.Fprintf(&lowered, "(core func $f%d (canon lower (func $f%d) async (memory $memory \"mem\")))\n", i, i)
		fmt.Fprintf(&imports, "(import \"\" \"f%d\" (func $f%d (param i32) (result i32)))\n", i, i)
		fmt.Fprintf(&exports, "(export \"f%d\" (func $f%d))\n", i, i)
		fmt.Fprintf(&calls, "(drop (call $f%d (i32.const 16)))\n", i)
	}
	return `(component
		(import "later" (func $later async (param "x" u32) (result u32)))
		(component $C
			(import "later" (func $later async (param "x" u32) (result u32)))
			(core func $later (canon lower (func $later)))
			(core module $M (import "" "later" (func $later (param i32) (result i32)))
				(func (export "hold") (result i32) (call $later (i32.const 50))))
			(core instance $m (instantiate $M (with "" (instance (export "later" (func $later))))))
			(func (export "hold") async (result u32) (canon lift (core func $m "hold"))))
		` + instances.String() + `
		(component $D ` + takes.String() + `
			(core module $Memory (memory (export "mem") 1))
			(core instance $memory (instantiate $Memory))
			` + lowered.String() + `
			(core module $M ` + imports.String() + `(func (export "run") (result i32) ` + calls.String() + ` (i32.const 3)))
			(core instance $m (instantiate $M (with "" (instance ` + exports.String() + `))))
			(func (export "run") async (result u32) (canon lift (core func $m "run"))))
		(instance $d (instantiate $D ` + gives.String() + `))
		(export "run" (func $d "run")))`
}

// TestStacksAreBounded has many components wait in their stores.
func TestStacksAreBounded(t *testing.T) {
	mustReturn(t, start(t, blockers(40), functions{"later": never}), 3, "run")
	mustTrap(t, start(t, blockers(70), functions{"later": never}), "more than 64 calls wait", "run")
}

// TestStackThatWouldPart has a function that may not wait run a task of its component meanwhile,
// which then waits itself: the lower one could go on first.
func TestStackThatWouldPart(t *testing.T) {
	x := start(t, `(component
		(component $A
			(type $S (stream u8))
			(core module $Memory (memory (export "mem") 1))
			(core instance $memory (instantiate $Memory))
			(core func $new (canon stream.new $S))
			(core func $read (canon stream.read $S (memory $memory "mem")))
			(core module $M (import "" "new" (func $new (result i64))) (import "" "read" (func $read (param i32 i32 i32) (result i32)))
				(func $wait (result i32) (call $read (i32.wrap_i64 (call $new)) (i32.const 0) (i32.const 1)))
				(func (export "work") (result i32) (i32.const 1))
				(func (export "cb") (param i32 i32 i32) (result i32) (call $wait))
				(func (export "wait") (result i32) (call $wait)))
			(core instance $m (instantiate $M (with "" (instance (export "new" (func $new)) (export "read" (func $read))))))
			(func (export "work") async (result u32) (canon lift (core func $m "work") async (callback (func $m "cb"))))
			(func (export "wait") (result u32) (canon lift (core func $m "wait"))))
		(instance $a (instantiate $A))
		(component $B
			(import "work" (func $work async (result u32)))
			(import "wait" (func $wait (result u32)))
			(core module $Memory (memory (export "mem") 1))
			(core instance $memory (instantiate $Memory))
			(core func $work (canon lower (func $work) async (memory $memory "mem")))
			(core func $wait (canon lower (func $wait)))
			(core module $M (import "" "work" (func $work (param i32) (result i32))) (import "" "wait" (func $wait (result i32)))
				(func (export "run") (result i32) (drop (call $work (i32.const 0))) (call $wait)))
			(core instance $m (instantiate $M (with "" (instance (export "work" (func $work)) (export "wait" (func $wait))))))
			(func (export "run") async (result u32) (canon lift (core func $m "run"))))
		(instance $b (instantiate $B (with "work" (func $a "work")) (with "wait" (func $a "wait"))))
		(export "run" (func $b "run")))`, nil)
	mustTrap(t, x, "would wait on one stack", "run")
}
