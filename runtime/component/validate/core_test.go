package validate

import "testing"

func TestCoreInstances(t *testing.T) {
	given := func(have, want string) string {
		return `(component (core module $have ` + have + `) (core instance $h (instantiate $have)) (core module $want ` + want + `) (core instance (instantiate $want (with "m" (instance $h)))))`
	}
	checkRules(t, []rule{
		{wat: given(`(func (export "f") (param i32))`, `(import "m" "f" (func (param i32)))`)},
		{wat: given(`(func (export "f") (param i32))`, `(import "m" "f" (func))`), why: "the function is of another type"},
		{wat: given(`(func (export "f") (param i32))`, `(import "m" "f" (func (param i64)))`), why: "the function is of another type"},
		{wat: given(`(func (export "f"))`, `(import "m" "f" (func (result i32)))`), why: "the function is of another type"},
		{wat: given(`(func (export "f"))`, `(import "m" "g" (func))`), why: "there is no export"},
		{wat: given(`(func (export "f"))`, `(import "n" "f" (func))`), why: `gets nothing for its imports from "n"`},
		{wat: given(`(func (export "f"))`, `(import "m" "f" (global i32))`), why: "it is a core function, and a core global is wanted"},
		{wat: given(`(global (export "g") i32 (i32.const 0))`, `(import "m" "g" (global i32))`)},
		{wat: given(`(global (export "g") i32 (i32.const 0))`, `(import "m" "g" (global i64))`), why: "the global"},
		{wat: given(`(global (export "g") i32 (i32.const 0))`, `(import "m" "g" (global (mut i32)))`), why: "the global"},
		{wat: given(`(global (export "g") (mut i32) (i32.const 0))`, `(import "m" "g" (global i32))`), why: "the global"},
		{wat: given(`(func $f) (global (export "g") (ref func) (ref.func $f))`, `(import "m" "g" (global funcref))`)},
		{wat: given(`(global (export "g") funcref (ref.null func))`, `(import "m" "g" (global (ref func)))`), why: "the global"},
		{wat: given(`(table (export "t") 2 funcref)`, `(import "m" "t" (table 1 funcref))`)},
		{wat: given(`(table (export "t") 2 externref)`, `(import "m" "t" (table 1 funcref))`), why: "elements of another type"},
		{wat: given(`(table (export "t") 1 funcref)`, `(import "m" "t" (table 2 funcref))`), why: "smallest size is 1"},
		{wat: given(`(table (export "t") 1 funcref)`, `(import "m" "t" (table 1 2 funcref))`), why: "not bounded by 2"},
		{wat: given(`(table (export "t") 1 3 funcref)`, `(import "m" "t" (table 1 2 funcref))`), why: "not bounded by 2"},
		{wat: given(`(memory (export "x") 2 3)`, `(import "m" "x" (memory 1 4))`)},
		{wat: given(`(memory (export "x") 0)`, `(import "m" "x" (memory 1))`), why: "smallest size"},
		{wat: given(`(memory (export "x") 1 2 shared)`, `(import "m" "x" (memory 1 2))`), why: "shared"},
		{wat: given(`(memory (export "x") i64 1)`, `(import "m" "x" (memory 1))`), why: "64 bits"},
		{wat: given(`(memory (export "x") 1 (pagesize 1))`, `(import "m" "x" (memory 1))`), why: "pages"},
		{wat: given(`(tag (export "t"))`, `(import "m" "t" (tag))`), why: "exception tag, which is not supported"},
		{wat: given(`(tag (export "t"))`, `(import "m" "t" (tag (param i32)))`), why: "the tag is of another type"},
		{wat: given(`(import "a" "b" (func))`, ``), why: "gets nothing"},
		{wat: given(`(import "a" "b" (func)) (import "a" "b" (func))`, ``), why: "two imports"},
	})
}

func TestCoreTypesAreTheSameByTheirGroups(t *testing.T) {
	given := func(have, want string) string {
		return `(component (core module $have ` + have + ` (func (export "f") (type $t) unreachable)) (core instance $h (instantiate $have))
			(core module $want ` + want + ` (import "m" "f" (func (type $t)))) (core instance (instantiate $want (with "m" (instance $h)))))`
	}
	const wrong = "the function is of another type"
	checkRules(t, []rule{
		{wat: given(`(type (func (param i64))) (type $t (func (param i32)))`, `(type $t (func (param i32)))`)},
		{wat: given(`(rec (type $t (func)) (type (func (param i32))))`, `(type $t (func))`), why: wrong},
		{wat: given(`(rec (type $t (func)) (type $u (func (param (ref $t)))))`, `(rec (type $t (func)) (type $u (func (param (ref $t)))))`)},
		{wat: given(`(rec (type $u (func (param (ref $u)))) (type $t (func)))`, `(rec (type $t (func)) (type $u (func (param (ref $u)))))`), why: wrong},
		{wat: given(`(type $t (func (param (ref $t))))`, `(type $t (func (param (ref $t))))`)},
		{wat: given(`(type $s (struct (field i32))) (type $t (func (param (ref $s))))`, `(type $s (struct (field i32))) (type $t (func (param (ref $s))))`)},
		{wat: given(`(type $s (struct (field i32))) (type $t (func (param (ref $s))))`, `(type $s (struct (field i64))) (type $t (func (param (ref $s))))`), why: wrong},
		{wat: given(`(type $t (sub (func)))`, `(type $t (func))`), why: wrong},
		{wat: given(`(type $s (sub (func))) (type $t (sub $s (func)))`, `(type $t (sub (func)))`)},
		{wat: given(`(type $t (sub (func)))`, `(type $s (sub (func))) (type $t (sub $s (func)))`), why: wrong},
	})
}

func TestCoreTypeDefinitions(t *testing.T) {
	checkRules(t, []rule{
		{wat: `(component (core type $t (sub (func))) (core type (sub $t (func))))`},
		{wat: `(component (core type $t (func)) (core type (sub $t (func))))`, why: "is final"},
		{wat: `(component (core type $t (sub (func))) (core type (sub $t (func (param i32)))))`, why: "not what its supertype is"},
		{wat: `(component (core type $t (sub (struct (field i32)))) (core type (sub $t (struct (field i32) (field i64)))))`},
		{wat: `(component (core type $t (sub (struct (field (mut anyref))))) (core type (sub $t (struct (field (mut eqref))))))`, why: "not what its supertype is"},
		{wat: `(component (core type $t (sub (array anyref))) (core type (sub $t (array i31ref))))`},
		{wat: `(component (core type (sub 3 (func))))`, why: "there is no core type 3"},
		{wat: `(component (core type (module (import "a" "b" (func)) (export "c" (func)))))`},
		{wat: `(component (core type (module (export "a" (func (type 0))))))`, why: "there is no core type 0"},
		{wat: `(component (core type (module (export "a" (func)) (export "a" (func)))))`, why: "two exports"},
		{wat: `(component (core type (module (import "a" "b" (func)) (import "a" "b" (func)))))`, why: "two imports"},
		{wat: `(component (core type (module (import "a" "b" (memory 65536)))))`},
		{wat: `(component (core type (module (import "a" "b" (memory 65537)))))`, why: "more than 65536 pages"},
		{wat: `(component (core type (module (import "a" "b" (memory 2 1)))))`, why: "largest size"},
		{wat: `(component (core type (module (import "a" "b" (memory 1 shared)))))`, why: "no largest size"},
		{wat: `(component (core type (module (import "a" "b" (table 2 1 funcref)))))`, why: "largest size"},
		{wat: `(component (core type (module (import "a" "b" (tag (result i32))))))`, why: "a tag has results"},
	})
}

func TestModuleTypes(t *testing.T) {
	given := func(have, want string) string {
		return `(component (core module $have ` + have + `) (component $c (import "x" (core module ` + want + `))) (instance (instantiate $c (with "x" (core module $have)))))`
	}
	checkRules(t, []rule{
		{wat: given(`(import "" "g" (global i32))`, `(import "" "g" (global i32)) (import "" "f" (func))`)},
		{wat: given(`(import "" "g" (global i32))`, ``), why: "too many"},
		{wat: given(`(import "" "f" (global i32))`, `(import "" "f" (func))`), why: "it is a core function, and a core global is wanted"},
		{wat: given(`(func (export "f")) (func (export "g"))`, `(export "f" (func))`)},
		{wat: given(``, `(export "f" (func))`), why: `the module has no export "f"`},
		{wat: given(`(import "" "m" (memory 1)) (memory (export "x") 2)`, `(import "" "m" (memory 2)) (export "x" (memory 1))`)},
		{wat: given(`(import "" "m" (memory 2))`, `(import "" "m" (memory 1))`), why: "smallest size"},
	})
}

func TestBundlesAndAliasesOfTheCore(t *testing.T) {
	const m = `(core module $m (func (export "f")) (memory (export "m") 1) (tag (export "t"))) (core instance $i (instantiate $m)) `
	checkRules(t, []rule{
		{wat: `(component ` + m + `(alias core export $i "f" (core func $f)) (core instance $b (export "g" (func $f))) (alias core export $b "g" (core func)))`},
		{wat: `(component ` + m + `(alias core export $i "g" (core func)))`, why: `has no export "g"`},
		{wat: `(component ` + m + `(alias core export $i "m" (core func)))`, why: "is a core memory, not a core function"},
		{wat: `(component ` + m + `(alias core export $i "f" (core memory)))`, why: "is a core function, not a core memory"},
		{wat: `(component ` + m + `(alias core export $i "t" (core tag)))`, why: "exception tag"},
		{wat: `(component (core instance (export "a" (func 0))))`, why: "there is no core function 0"},
		{wat: `(component (core instance (export "a" (memory 0))))`, why: "there is no core memory 0"},
		{wat: `(component ` + m + `(alias core export $i "f" (core func $f)) (core instance (export "g" (func $f)) (export "g" (func $f))))`, why: "two exports"},
		{wat: `(component (core instance (instantiate 0)))`, why: "there is no core module 0"},
		{wat: `(component (core module $m) (core instance (instantiate $m (with "a" (instance 5)))))`, why: "there is no core instance 5"},
		{wat: `(component ` + m + `(core instance (instantiate $m (with "a" (instance $i)) (with "a" (instance $i)))))`, why: "two arguments"},
	})
}
