package validate

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// libc has what options refer to.
const libc = `(core module $libc (memory (export "m") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
		(func (export "post") (param i32)) (func (export "cb") (param i32 i32 i32) (result i32) unreachable) (func (export "none"))
		(func (export "r64") (param i32 i32 i32 i32) (result i64) unreachable))
	(core instance $l (instantiate $libc)) (alias core export $l "m" (core memory $m)) (alias core export $l "realloc" (core func $realloc))
	(alias core export $l "post" (core func $post)) (alias core export $l "cb" (core func $cb)) (alias core export $l "none" (core func $none))
	(alias core export $l "r64" (core func $r64)) `

// lifted is a component that lifts a core function of a type.
func lifted(core, fn, options string) string {
	return `(component ` + libc + `(core module $g (func (export "f") ` + core + ` unreachable)) (core instance $i (instantiate $g))
		(type $t (func ` + fn + `)) (func (type $t) (canon lift (core func $i "f") ` + options + `)))`
}

// lowered is a component that lowers a function, and needs the core function to have a type.
func lowered(fn, options, core string) string {
	return `(component ` + libc + `(type $t (func ` + fn + `)) (import "f" (func $f (type $t))) (core func $c (canon lower (func $f) ` + options + `))
		(core module $g (import "a" "f" (func ` + core + `))) (core instance (instantiate $g (with "a" (instance (export "f" (func $c)))))))`
}

const (
	anyOf17 = `(param "a" u8) (param "b" u8) (param "c" u8) (param "d" u8) (param "e" u8) (param "f" u8) (param "g" u8) (param "h" u8) (param "i" u8)
		(param "j" u8) (param "k" u8) (param "l" u8) (param "m" u8) (param "n" u8) (param "o" u8) (param "p" u8) (param "q" u8)`
	anyOf5 = `(param "a" u8) (param "b" u8) (param "c" u8) (param "d" u8) (param "e" u8)`
	memory = `(memory $m)`
	both   = `(memory $m) (realloc $realloc)`
	wrong  = "is not of the type that"
)

func TestLift(t *testing.T) {
	checkRules(t, []rule{
		{wat: lifted(``, ``, ``)},
		{wat: lifted(`(param i32)`, ``, ``), why: wrong},
		{wat: lifted(`(result i32)`, ``, ``), why: wrong},
		{wat: lifted(`(param i32 i64 f32 f64) (result i32)`, `(param "a" char) (param "b" s64) (param "c" f32) (param "d" f64) (result bool)`, ``)},
		{wat: lifted(`(param i32 i32 f32 f64) (result i32)`, `(param "a" char) (param "b" s64) (param "c" f32) (param "d" f64) (result bool)`, ``), why: wrong},
		{wat: lifted(`(param i32 i64)`, `(param "a" (option s64))`, ``)},
		{wat: lifted(`(param i32 i32)`, `(param "a" (result u8 (error f32)))`, ``)},
		{wat: lifted(`(param i32 f32)`, `(param "a" (result u8 (error f32)))`, ``), why: wrong},
		{wat: lifted(`(param i32 i32)`, `(param "a" string)`, both)},
		{wat: lifted(`(param i32 i32)`, `(param "a" string)`, memory), why: "option realloc is needed"},
		{wat: lifted(`(param i32 i32)`, `(param "a" string)`, ``), why: "option memory is needed"},
		{wat: lifted(`(result i32)`, `(result string)`, memory)},
		{wat: lifted(`(result i32)`, `(result string)`, ``), why: "option memory is needed"},
		{wat: lifted(`(result i32)`, `(result (tuple u8 u8))`, ``), why: "option memory is needed"},
		{wat: lifted(`(param i32)`, anyOf17, both)},
		{wat: lifted(`(param i32)`, anyOf17, memory), why: "option realloc is needed"},
		{wat: lifted(``, ``, `(realloc $realloc)`), why: "without memory"},
		{wat: lifted(``, ``, `(memory $m) (realloc $post)`), why: wrong},
		{wat: lifted(``, ``, `(memory $m) (realloc $r64)`), why: wrong},
		{wat: lifted(``, ``, `(memory $m) (memory $m)`), why: "more than once"},
		{wat: lifted(``, ``, `string-encoding=utf8 string-encoding=utf16`), why: "more than once"},
		{wat: lifted(``, ``, `(memory 7)`), why: "there is no core memory 7"},
		{wat: lifted(``, ``, `(post-return $none)`)},
		{wat: lifted(`(result i32)`, `(result u8)`, `(post-return $post)`)},
		{wat: lifted(`(result i32)`, `(result u8)`, `(post-return $none)`), why: wrong},
		{wat: lifted(``, ``, `(post-return $post)`), why: wrong},
		{wat: lifted(``, ``, `(callback $cb)`), why: "without async"},
		{wat: lifted(``, ``, `async`), why: "a function that is not async"},
		{wat: lifted(``, ``, `async`), edit: async},
		{wat: lifted(``, ``, `async (callback $cb)`), edit: async, why: wrong},
		{wat: lifted(`(result i32)`, ``, `async (callback $cb)`), edit: async},
		{wat: lifted(`(result i32)`, ``, `async (callback $post)`), edit: async, why: wrong},
		{wat: lifted(`(result i32)`, ``, `async (callback 77)`), edit: async, why: "there is no core function 77"},
		{wat: lifted(`(result i32)`, ``, `async (callback $cb) (post-return $post)`), edit: async, why: "async and post-return"},
		{wat: lifted(`(result i32)`, `(result string)`, `async (callback $cb)`), edit: async, why: "option memory is needed"},
		{wat: lifted(`(result i32)`, `(result (tuple u8 u8))`, `async (callback $cb)`), edit: async},
		{wat: lifted(`(param i32 i32 i32 i32 i32) (result i32)`, anyOf5, `async (callback $cb)`), edit: async},
		{wat: lifted(``, ``, ``), edit: async},
		{wat: `(component ` + libc + `(type $t u8) (func (type $t) (canon lift (core func $none))))`, why: "not a function type"},
		{wat: `(component (type $t (func)) (func (type $t) (canon lift (core func 0))))`, why: "there is no core function 0"},
	})
}

func TestLower(t *testing.T) {
	checkRules(t, []rule{
		{wat: lowered(``, ``, ``)},
		{wat: lowered(``, ``, `(param i32)`), why: "of another type"},
		{wat: lowered(`(param "a" u64) (result f32)`, ``, `(param i64) (result f32)`)},
		{wat: lowered(`(param "a" string)`, memory, `(param i32 i32)`)},
		{wat: lowered(`(param "a" string)`, ``, `(param i32 i32)`), why: "option memory is needed"},
		{wat: lowered(`(result string)`, both, `(param i32)`)},
		{wat: lowered(`(result string)`, memory, `(param i32)`), why: "option realloc is needed"},
		{wat: lowered(`(result (tuple u8 u8))`, memory, `(param i32)`)},
		{wat: lowered(`(result (tuple u8 u8))`, ``, `(param i32)`), why: "option memory is needed"},
		{wat: lowered(anyOf17, memory, `(param i32)`)},
		{wat: lowered(``, `(callback $cb)`, ``), why: "callback"},
		{wat: lowered(``, `(post-return $none)`, ``), why: "post-return"},
		{wat: lowered(``, `async`, `(result i32)`), why: "not async"},
		{wat: lowered(``, `async`, `(result i32)`), edit: async},
		{wat: lowered(`(result u8)`, `async`, `(param i32) (result i32)`), edit: async, why: "option memory is needed"},
		{wat: lowered(`(result u8)`, `async (memory $m)`, `(param i32) (result i32)`), edit: async},
		{wat: lowered(anyOf5, `async (memory $m)`, `(param i32) (result i32)`), edit: async},
		{wat: `(component (core func (canon lower (func 0))))`, why: "there is no function 0"},
	})
}

func TestMemoriesOfTheCanonicalABI(t *testing.T) {
	with := func(m string) string {
		return `(component (core module $l (memory (export "m") ` + m + `)) (core instance $l (instantiate $l)) (alias core export $l "m" (core memory $m))
			(core func (canon waitable-set.wait (memory $m))))`
	}
	checkRules(t, []rule{
		{wat: with(`1`)},
		{wat: with(`1 2 shared`), why: "is shared"},
		{wat: with(`i64 1`), why: "64 bits"},
		{wat: with(`1 (pagesize 1)`), why: "another size than 64 KiB"},
		{wat: `(component (core func (canon waitable-set.poll (memory 0))))`, why: "there is no core memory 0"},
	})
}

func TestDestructors(t *testing.T) {
	checkRules(t, []rule{
		{wat: `(component ` + libc + `(type (resource (rep i32) (dtor (func $post)))))`},
		{wat: `(component ` + libc + `(type (resource (rep i32) (dtor (func $none)))))`, why: wrong},
		{wat: `(component ` + libc + `(type (resource (rep i32) (dtor (func $cb)))))`, why: wrong},
		{wat: `(component (type (resource (rep i32) (dtor (func 9)))))`, why: "there is no core function 9"},
	})
}

// TestBuiltins has for each built-in its type, and what is wrong about it.
func TestBuiltins(t *testing.T) {
	const types = `(type $s (stream u8)) (type $ss (stream string)) (type $u (stream)) (type $f (future u8)) (type $fs (future string))
		(type $r (resource (rep i32))) (import "r" (type $q (sub resource))) `
	typed := func(canon, core string) string {
		return `(component ` + libc + types + `(core func $c (canon ` + canon + `)) (core module $g (import "a" "f" (func ` + core + `)))
			(core instance (instantiate $g (with "a" (instance (export "f" (func $c)))))))`
	}
	const one, oneOne, two, new = `(param i32)`, `(param i32) (result i32)`, `(param i32 i32)`, `(result i64)`
	rules := []rule{}
	for _, b := range []struct{ canon, core string }{
		{`resource.new $r`, oneOne}, {`resource.rep $r`, oneOne}, {`resource.drop $r`, one}, {`resource.drop $q`, one},
		{`task.cancel`, ``}, {`subtask.cancel`, oneOne}, {`subtask.cancel async`, oneOne}, {`subtask.drop`, one},
		{`backpressure.inc`, ``}, {`backpressure.dec`, ``}, {`context.get i32 0`, `(result i32)`}, {`context.set i32 1`, one},
		{`thread.yield`, `(result i32)`}, {`thread.index`, `(result i32)`},
		{`waitable-set.new`, `(result i32)`}, {`waitable-set.wait (memory $m)`, two + `(result i32)`},
		{`waitable-set.poll (memory $m)`, two + `(result i32)`}, {`waitable-set.drop`, one}, {`waitable.join`, two},
		{`stream.new $s`, new}, {`stream.read $s (memory $m)`, `(param i32 i32 i32) (result i32)`},
		{`stream.write $ss async (memory $m)`, `(param i32 i32 i32) (result i32)`}, {`stream.write $u async`, `(param i32 i32 i32) (result i32)`},
		{`stream.read $ss (memory $m) (realloc $realloc)`, `(param i32 i32 i32) (result i32)`},
		{`stream.cancel-read $s`, oneOne}, {`stream.cancel-write $s async`, oneOne}, {`stream.drop-readable $s`, one}, {`stream.drop-writable $s`, one},
		{`future.new $f`, new}, {`future.read $f (memory $m)`, two + `(result i32)`}, {`future.write $fs async (memory $m)`, two + `(result i32)`},
		{`future.cancel-read $f`, oneOne}, {`future.cancel-write $f`, oneOne}, {`future.drop-readable $f`, one}, {`future.drop-writable $f`, one},
		{`error-context.new (memory $m)`, two + `(result i32)`}, {`error-context.debug-message (memory $m) (realloc $realloc)`, two}, {`error-context.drop`, one},
		{`task.return`, ``}, {`task.return (result u64)`, `(param i64)`}, {`task.return (result string) (memory $m)`, two},
	} {
		rules = append(rules, rule{wat: typed(b.canon, b.core)}, rule{wat: typed(b.canon, `(param f32)`+b.core), why: "of another type"})
	}
	for _, b := range []struct{ canon, why string }{
		{`resource.new $q`, "not defined in this component"}, {`resource.rep $q`, "not defined in this component"}, {`resource.drop $s`, "not a resource type"},
		{`resource.new 99`, "there is no type 99"}, {`stream.new $f`, "not a stream"}, {`future.new $s`, "not a future"}, {`future.drop-readable $r`, "not a future"},
		{`stream.read $s`, "option memory is needed"}, {`stream.read $ss (memory $m)`, "option realloc is needed"},
		{`stream.read $ss (memory $m) (realloc $post)`, wrong}, {`stream.read $u (callback $cb)`, "callback"}, {`future.write $f (memory $m) (post-return $none)`, "post-return"},
		{`future.read $fs (memory $m)`, "option realloc is needed"}, {`context.get i32 2`, "no slot 2"},
		{`context.set i32 2`, "no slot 2"}, {`error-context.new`, "option memory is needed"}, {`error-context.debug-message (memory $m)`, "option realloc is needed"},
		{`error-context.new async (memory $m)`, "with the option async"},
		{`task.return (result string)`, "option memory is needed"}, {`task.return (result string) (memory $m) (realloc $realloc)`, "task.return has an option"},
		{`task.return async`, "task.return has an option"}, {`task.return (result (borrow $r))`, "borrow handle"},
		{`thread.suspend`, "cooperative threads"},
	} {
		rules = append(rules, rule{wat: typed(b.canon, ``), why: b.why})
	}
	checkRules(t, rules)
}

func TestBuiltinsThatDoNotRunHere(t *testing.T) {
	const wat = `(component (core func (canon task.cancel)))`
	for op := range 256 {
		b := binary.BuiltinOp(op)
		var why string
		switch b {
		case binary.ThreadNewIndirect, binary.ThreadResumeLater, binary.ThreadSuspend, binary.ThreadSuspendThenResume, binary.ThreadYieldThenResume,
			binary.ThreadSuspendThenPromote, binary.ThreadYieldThenPromote:
			why = "cooperative threads"
		case binary.ThreadSpawnRef, binary.ThreadSpawnIndirect, binary.ThreadAvailableParallelism:
			why = "threads with shared memory"
		case 0x00, 0x01, 0xff:
			why = "there is no built-in"
		default:
			continue
		}
		checkRules(t, []rule{{wat: wat, edit: builtin(binary.Builtin{Op: b}), why: why}})
	}
	checkRules(t, []rule{
		{wat: wat, edit: builtin(binary.Builtin{Op: binary.ContextGet, Core: binary.CoreValType{Kind: binary.CoreI64}}), why: "64 bits"},
		{wat: wat, edit: builtin(binary.Builtin{Op: binary.ContextSet, Core: binary.CoreValType{Kind: binary.CoreF32}}), why: "not i32"},
	})
}
