package instance_test

import "testing"

// cancelling makes a component whose task waits, and another one that cancels it. The callback is
// given what it does.
func cancelling(onCancel, code string) string {
	return `(component
		(component $B
			(core func $set.new (canon waitable-set.new))
			(core func $cancel (canon task.cancel))
			(core func $return (canon task.return (result u32)))
			(core module $M
				(import "" "set.new" (func $set.new (result i32)))
				(import "" "cancel" (func $cancel))
				(import "" "return" (func $return (param i32)))
				(func (export "work") (result i32) (drop (call $set.new)) (i32.const 0x12))
				(func (export "cb") (param i32 i32 i32) (result i32)
					(if (i32.ne (local.get 0) (i32.const 6)) (then unreachable)) ` + onCancel + ` (i32.const 0)))
			(core instance $m (instantiate $M (with "" (instance (export "set.new" (func $set.new)) (export "cancel" (func $cancel))
				(export "return" (func $return))))))
			(func (export "work") async (result u32) (canon lift (core func $m "work") async (callback (func $m "cb")))))
		(instance $b (instantiate $B))
		(component $A
			(import "work" (func $work async (result u32)))
			(core module $Memory (memory (export "mem") 1))
			(core instance $memory (instantiate $Memory))
			(core func $work (canon lower (func $work) async (memory $memory "mem")))
			(core func $cancel (canon subtask.cancel))
			(core func $drop (canon subtask.drop))
			(core module $M (import "" "mem" (memory 1))
				(import "" "work" (func $work (param i32) (result i32)))
				(import "" "cancel" (func $cancel (param i32) (result i32)))
				(import "" "drop" (func $drop (param i32)))
				(func (export "run") (result i32) (local i32)
					(if (i32.ne (call $work (i32.const 16)) (i32.const 0x11)) (then unreachable)) ` + code + `))
			(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) (export "work" (func $work))
				(export "cancel" (func $cancel)) (export "drop" (func $drop))))))
			(func (export "run") async (result u32) (canon lift (core func $m "run"))))
		(instance $a (instantiate $A (with "work" (func $b "work"))))
		(export "run" (func $a "run")))`
}

// TestCancelTask has a component cancel another one's task.
func TestCancelTask(t *testing.T) {
	const dropped = `(local.set 0 (call $cancel (i32.const 1))) (call $drop (i32.const 1)) (local.get 0)`
	for _, test := range []struct {
		name, onCancel, code string
		want                 uint32
		trap                 string
	}{
		{"it ends", `(call $cancel)`, dropped, 4, ""},
		{"it returns all the same", `(call $return (i32.const 3))`, dropped, 2, ""},
		{"it ends twice", `(call $cancel) (call $cancel)`, dropped, 0, "was not told"},
		{"it ends and returns", `(call $cancel) (call $return (i32.const 3))`, dropped, 0, "has a result already"},
		{"it does neither", ``, dropped, 0, "without a result"},
		{"cancel twice", `(call $cancel)`, `(drop (call $cancel (i32.const 1))) (call $cancel (i32.const 1))`, 0, "whose end it was told"},
		{"drop twice", `(call $cancel)`, `(drop (call $cancel (i32.const 1))) (call $drop (i32.const 1)) (call $drop (i32.const 1)) (i32.const 0)`, 0, "there is no subtask"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			x := start(t, cancelling(test.onCancel, test.code), nil)
			if test.trap == "" {
				mustReturn(t, x, test.want, "run")
				return
			}
			mustTrap(t, x, test.trap, "run")
		})
	}
}

// hearing makes a component whose task waits within the guest, and another one that cancels it.
func hearing(work string) string {
	return `(component
		(component $B
			(core module $Memory (memory (export "mem") 1))
			(core instance $memory (instantiate $Memory))
			(type $F (future u32))
			(core func $set.new (canon waitable-set.new))
			(core func $wait (canon waitable-set.wait cancellable (memory $memory "mem")))
			(core func $wait-deaf (canon future.read $F (memory $memory "mem")))
			(core func $write (canon future.write $F async (memory $memory "mem")))
			(core func $future.new (canon future.new $F))
			(core func $poll (canon waitable-set.poll cancellable (memory $memory "mem")))
			(core func $yield (canon thread.yield cancellable))
			(core func $cancel (canon task.cancel))
			(core func $return (canon task.return (result u32) (memory $memory "mem")))
			(core module $M (import "" "mem" (memory 1))
				(import "" "set.new" (func $set.new (result i32)))
				(import "" "wait" (func $wait (param i32 i32) (result i32)))
				(import "" "wait-deaf" (func $wait-deaf (param i32 i32) (result i32)))
				(import "" "write" (func $write (param i32 i32) (result i32)))
				(import "" "future.new" (func $future.new (result i64)))
				(import "" "poll" (func $poll (param i32 i32) (result i32)))
				(import "" "yield" (func $yield (result i32)))
				(import "" "cancel" (func $cancel))
				(import "" "return" (func $return (param i32)))
				(func (export "work") (result i32) ` + work + ` (i32.const 0))
				(func (export "let") (drop (call $write (i32.const 2) (i32.const 32))))
				(func (export "cb") (param i32 i32 i32) (result i32) unreachable))
			(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) (export "set.new" (func $set.new))
				(export "wait" (func $wait)) (export "wait-deaf" (func $wait-deaf)) (export "write" (func $write))
				(export "future.new" (func $future.new)) (export "poll" (func $poll)) (export "yield" (func $yield))
				(export "cancel" (func $cancel)) (export "return" (func $return))))))
			(func (export "work") async (result u32) (canon lift (core func $m "work") async (memory $memory "mem") (callback (func $m "cb"))))
			(func (export "let") (canon lift (core func $m "let"))))
		(instance $b (instantiate $B))
		(component $A
			(import "work" (func $work async (result u32)))
			(import "let" (func $let))
			(core module $Memory (memory (export "mem") 1))
			(core instance $memory (instantiate $Memory))
			(core func $work (canon lower (func $work) async (memory $memory "mem")))
			(core func $let (canon lower (func $let)))
			(core func $cancel (canon subtask.cancel async))
			(core func $set.new (canon waitable-set.new))
			(core func $join (canon waitable.join))
			(core func $wait (canon waitable-set.wait (memory $memory "mem")))
			(core module $M (import "" "mem" (memory 1))
				(import "" "work" (func $work (param i32) (result i32)))
				(import "" "let" (func $let))
				(import "" "cancel" (func $cancel (param i32) (result i32)))
				(import "" "set.new" (func $set.new (result i32)))
				(import "" "join" (func $join (param i32 i32)))
				(import "" "wait" (func $wait (param i32 i32) (result i32)))
				(func (export "run") (result i32) (local i32)
					(if (i32.ne (call $work (i32.const 16)) (i32.const 0x11)) (then unreachable))
					(local.set 0 (call $cancel (i32.const 1)))
					(if (i32.eq (local.get 0) (i32.const -1)) (then
						(call $let)
						(call $join (i32.const 1) (call $set.new))
						(drop (call $wait (i32.const 2) (i32.const 8)))
						(local.set 0 (i32.add (i32.const 100) (i32.load (i32.const 12))))))
					(local.get 0)))
			(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem")) (export "work" (func $work))
				(export "let" (func $let)) (export "cancel" (func $cancel)) (export "set.new" (func $set.new)) (export "join" (func $join))
				(export "wait" (func $wait))))))
			(func (export "run") async (result u32) (canon lift (core func $m "run"))))
		(instance $a (instantiate $A (with "work" (func $b "work")) (with "let" (func $b "let"))))
		(export "run" (func $a "run")))`
}

// TestHearOfCancellation has a task hear where it waits that it is cancelled, or later if it does
// not listen: then the number is 100 more.
func TestHearOfCancellation(t *testing.T) {
	const deaf = `(drop (call $future.new)) (drop (call $wait-deaf (i32.const 1) (i32.const 32)))`
	for _, test := range []struct {
		name, work string
		want       uint32
	}{
		{"in a wait", `(if (i32.ne (call $wait (call $set.new) (i32.const 8)) (i32.const 6)) (then unreachable)) (call $cancel)`, 4},
		{"in a yield", `(if (i32.ne (call $yield) (i32.const 1)) (then unreachable)) (call $cancel)`, 4},
		{"in a poll, later", deaf + `(if (i32.ne (call $poll (call $set.new) (i32.const 8)) (i32.const 6)) (then unreachable)) (call $cancel)`, 104},
		{"in a yield, later", deaf + `(if (i32.ne (call $yield) (i32.const 1)) (then unreachable)) (call $cancel)`, 104},
		{"in a wait, later", deaf + `(if (i32.ne (call $wait (call $set.new) (i32.const 8)) (i32.const 6)) (then unreachable)) (call $cancel)`, 104},
		{"never", deaf + `(call $return (i32.const 5))`, 102},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mustReturn(t, start(t, hearing(test.work), nil), test.want, "run")
		})
	}
}
