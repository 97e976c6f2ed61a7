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
			(func (export "work") ASYNC (result u32) (canon lift (core func $m "work") async (callback (func $m "cb")))))
		(instance $b (instantiate $B))
		(component $A
			(import "work" (func $work ASYNC (result u32)))
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
			(func (export "run") ASYNC (result u32) (canon lift (core func $m "run"))))
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
