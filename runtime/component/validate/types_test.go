package validate

import (
	"fmt"
	"strings"
	"testing"
)

func TestTypes(t *testing.T) {
	flags := func(n int) string {
		s := ""
		for i := range n {
			s += fmt.Sprintf(" \"f%d\"", i)
		}
		return "(component (type (flags" + s + ")))"
	}
	checkRules(t, []rule{
		{wat: `(component (type (record (field "a" u8) (field "b" string))) (type (variant (case "a" 0) (case "b"))) (type (list 1))
			(type (tuple 0 1)) (type (enum "a" "b")) (type (option 1)) (type (result 0 (error 1))) (type (result)) (type u8))`},
		{wat: `(component (type (record)))`, why: "a record has nothing in it"},
		{wat: `(component (type (variant)))`, why: "a variant has nothing"},
		{wat: `(component (type (tuple)))`, why: "a tuple has nothing"},
		{wat: `(component (type (enum)))`, why: "an enum has nothing"},
		{wat: `(component (type (flags)))`, why: "a flags type has nothing"},
		{wat: flags(32)},
		{wat: flags(33), why: "33 flags"},
		{wat: `(component (type (record (field "a" u8) (field "A" u8))))`, why: "conflicts"},
		{wat: `(component (type (variant (case "x") (case "x"))))`, why: "conflicts"},
		{wat: `(component (type (enum "aB")))`, why: "kebab"},
		{wat: `(component (type (func (param "a" u8) (param "a" u8))))`, why: "conflicts"},
		{wat: `(component (type (func (param "" u8))))`, why: "kebab"},
		{wat: `(component (type (option 0)))`, why: "there is no type 0"},
		{wat: `(component (type (func)) (type (option 0)))`, why: "type 0 is a function type, not a type of values"},
		{wat: `(component (type (list u8 1)) (type (list 0 2)))`},
		{wat: `(component (type (list u8 0)))`, why: "nothing in it"},
		{wat: `(component (type (list u8 268435455)))`},
		{wat: `(component (type (list u8 268435456)))`, why: "too much"},
		{wat: `(component (type (list string 16777215)))`},
		{wat: `(component (type (list string 16777216)))`, why: "too much"},
		{wat: `(component (type (list u64 536870912)))`, why: "too much"},
		{wat: `(component (type (tuple (list u8 268435455) u8)))`, why: "too much"},
		{wat: `(component (type (func (param "a" (list u8 134217728)) (param "b" (list u8 134217727)))))`},
		{wat: `(component (type (func (param "a" (list u8 134217728)) (param "b" (list u8 134217728)))))`, why: "parameters take up to"},
		{wat: `(component (type (tuple string u32)))`, edit: mapped},
		{wat: `(component (type (tuple char (list u8 268435455))))`, edit: mapped},
		{wat: `(component (type (tuple f32 u32)))`, edit: mapped, why: "keys"},
		{wat: `(component (type (tuple (list u8) u32)))`, edit: mapped, why: "keys"},
		{wat: `(component (type (stream u8)) (type (stream)) (type (future string)) (type (future)))`},
		{wat: `(component (type $c char) (type (stream $c)))`, why: "stream of char"},
		{wat: `(component (type (future char)))`},
	})
}

func TestHandles(t *testing.T) {
	const r = `(import "r" (type $r (sub resource)))`
	checkRules(t, []rule{
		{wat: `(component ` + r + ` (type (own $r)) (type (func (param "a" (borrow $r)) (result (own $r)))))`},
		{wat: `(component (type $u u8) (type (own $u)))`, why: "not a resource type"},
		{wat: `(component (type (borrow 3)))`, why: "there is no type 3"},
		{wat: `(component ` + r + ` (type (func (result (borrow $r)))))`, why: "the result of a function has a borrow handle"},
		{wat: `(component ` + r + ` (type (func (result (option (list (tuple u8 (borrow $r))))))))`, why: "borrow handle"},
		{wat: `(component ` + r + ` (type (stream (borrow $r))))`, why: "borrow handle"},
		{wat: `(component ` + r + ` (type (future (list (borrow $r)))))`, why: "borrow handle"},
		{wat: `(component (type (component (type (resource (rep i32))))))`, why: "resource type is defined in a type"},
		{wat: `(component (type (instance (type (resource (rep i32))))))`, why: "resource type is defined in a type"},
	})
}

func TestTypesOfExterns(t *testing.T) {
	checkRules(t, []rule{
		{wat: `(component (import "a" (func (type 0))))`, why: "there is no type 0"},
		{wat: `(component (type (instance)) (import "a" (func (type 0))))`, why: "type 0 is an instance type, not a function type"},
		{wat: `(component (type (func)) (import "a" (instance (type 0))))`, why: "not an instance type"},
		{wat: `(component (type (func)) (import "a" (component (type 0))))`, why: "not a component type"},
		{wat: `(component (core type (func)) (import "a" (core module (type 0))))`, why: "not a module's"},
		{wat: `(component (core type (module)) (import "a" (core module (type 0))))`},
		{wat: `(component (type (component (import "a" (component)) (import "b" (core module)) (export "c" (type (sub resource))))))`},
		{wat: `(component (import "a" (instance $a (export "t" (type (sub resource))) (export "f" (func)))) (alias export $a "f" (func)))`},
		{wat: `(component (import "a" (instance $a (export "f" (func)))) (alias export $a "g" (func)))`, why: `has no export "g"`},
		{wat: `(component (import "a" (instance $a (export "f" (func)))) (alias export $a "f" (instance)))`, why: "is a function, not an instance"},
		{wat: `(component (type (component (import "i" (instance $i (export "f" (func)))) (alias export $i "f" (func)))))`, why: "an alias in a type"},
		{wat: `(component (export "a" (func 0)))`, why: "there is no function 0"},
	})
}

func TestOuterAliases(t *testing.T) {
	const r = `(type $r (resource (rep i32)))`
	checkRules(t, []rule{
		{wat: `(component $c (core module $m) (core type $t (func)) (component $d) (type $u u8) (component (alias outer $c $m (core module))
			(alias outer $c $t (core type)) (alias outer $c $d (component)) (alias outer $c $u (type))))`},
		{wat: `(component (alias outer 0 0 (type)))`, why: "there is no type 0"},
		{wat: `(component (alias outer 1 0 (type)))`, why: "leads out of 1 components"},
		{wat: `(component (component (alias outer 1 0 (type))) (type u8))`, why: "there is no type 0"},
		{wat: `(component $c ` + r + ` (component (alias outer $c $r (type))))`, why: "refers to resources"},
		{wat: `(component $c ` + r + ` (type $l (list (own $r))) (component (component (alias outer $c $l (type)))))`, why: "refers to resources"},
		{wat: `(component $c ` + r + ` (type (instance (alias outer $c $r (type)))))`},
		{wat: `(component $c ` + r + ` (component (type (component (alias outer $c $r (type))))))`, why: "refers to resources"},
		{wat: `(component $c (type $t (component (import "r" (type $r (sub resource))) (export "f" (func (result (own $r)))))) (component (alias outer $c $t (type))))`},
		{wat: `(component $c ` + r + ` (type $t (component (export "r" (type (eq $r))))) (component (alias outer $c $t (type))))`, why: "refers to resources"},
		{wat: `(component $c (component $d) (type (component (alias outer $c $d (component)))))`, why: "an outer alias in a type"},
		{wat: `(component $c (core type $t (func)) (core type (module (alias outer $c $t (type)) (export "f" (func (type 0))))))`},
		{wat: `(component $c (core type $t (module)) (core type (module (alias outer $c $t (type)))))`, why: "alias in a module type"},
	})
}

func TestTypesThatHaveNoNameOutside(t *testing.T) {
	const (
		rec  = `(type $r (record (field "x" u32)))`
		core = `(core module $m (func (export "f") (result i32) unreachable)) (core instance $i (instantiate $m))`
	)
	checkRules(t, []rule{
		{wat: `(component ` + rec + core + `(func $f (result $r) (canon lift (core func $i "f"))) (export $n "r" (type $r)) (export "f" (func $f) (func (result $n))))`},
		{wat: `(component ` + rec + core + `(func $f (result $r) (canon lift (core func $i "f"))) (export "r" (type $r)) (export "f" (func $f)))`, why: `export "f" uses a type that has no export`},
		{wat: `(component ` + rec + `(import "f" (func (param "a" $r))))`, why: `import "f" uses a type that has no import`},
		{wat: `(component ` + rec + `(import "r" (type $n (eq $r))) (import "f" (func $f (param "a" (list (option $n))))) (export "f" (func $f)))`},
		{wat: `(component ` + rec + `(export $n "r" (type $r)) (import "f" (func (param "a" $n))))`, why: "uses a type"},
		{wat: `(component (type $e (enum "a")) (import "f" (func (param "a" $e))))`, why: "uses a type"},
		{wat: `(component (type $t u8) (export $e "e" (type $t)) (import "t" (type (eq $e))))`, why: "uses a type"},
		{wat: `(component (type $t u8) (export "e" (type $t)) (import "t" (type (eq $t))))`},
		{wat: `(component (type $t (resource (rep i32))) (export $e "e" (type $t)) (import "t" (type (eq $e))))`, why: "uses a type"},
		{wat: `(component (import "r" (type $t (sub resource))) (import "t" (type (eq $t))))`},
		{wat: `(component (type $e (flags "a")) (import "f" (func (param "a" $e))))`, why: "uses a type"},
		{wat: `(component (type $e (variant (case "a"))) (import "f" (func (param "a" $e))))`, why: "uses a type"},
		{wat: `(component (import "f" (func (param "a" (tuple u8 (option (result u8)))))))`},
		{wat: `(component (type $r (resource (rep i32))) (import "f" (func (param "a" (own $r)))))`, why: "uses a type"},
		{wat: `(component ` + rec + `(type $q (record (field "r" $r))) (export "q" (type $q)))`, why: "uses a type"},
		{wat: `(component ` + rec + `(export $n "r" (type $r)) (type $q (record (field "r" $n))) (export "q" (type $q)))`},
		{wat: `(component (type (instance ` + rec + `(export "f" (func (param "a" $r))))))`},
		{wat: `(component (type $i (instance ` + rec + `(export "f" (func (param "a" $r))))) (import "i" (instance (type $i))))`, why: "uses a type"},
		{wat: `(component (type $i (instance ` + rec + `(export "f" (func (param "a" $r))))) (import "i" (type (eq $i))))`, why: "uses a type"},
		{wat: `(component (type $i (instance ` + rec + `(export "r" (type $n (eq $r))) (export "f" (func (param "a" $n))))) (import "i" (type (eq $i))))`},
		{wat: `(component (type (component ` + rec + `(export "f" (func (param "a" $r))))))`, why: "uses a type"},
		{wat: `(component ` + rec + `(instance $b (export "r" (type $r))) (export $e "b" (instance $b)) (alias export $e "r" (type $n)) (type $q (tuple $n)) (export "q" (type $q)))`},
		{wat: `(component $c (type $r (resource (rep i32))) (import "c" (component (alias outer 1 $r (type $q)) (export "x" (type (eq $q))))))`, why: "that the component defines"},
		{wat: `(component $c (type $r (resource (rep i32))) (type $t (component (alias outer 1 $r (type $q)) (export "x" (type (eq $q))))) (export "t" (type $t)))`, why: "does not export"},
		{wat: `(component $c (type $r (resource (rep i32))) (type $t (component (alias outer 1 $r (type $q)) (export "x" (type (eq $q))))) (export "r" (type $r)) (export "t" (type $t)))`},
	})
}

func TestNestingIsBounded(t *testing.T) {
	list := func(n int) string {
		return "(component (type $t0 u8)" + repeat(n, func(i int) string { return fmt.Sprintf("(type $t%d (option $t%d))", i+1, i) }) + ")"
	}
	instance := func(n int) string {
		return "(component (type (instance))" + repeat(n, func(i int) string {
			return fmt.Sprintf(`(type (instance (alias outer 1 %d (type)) (export "a" (instance (type 0)))))`, i)
		}) + ")"
	}
	checkRules(t, []rule{
		{wat: list(maxDepth - 1)},
		{wat: list(maxDepth), why: "nested more than"},
		{wat: instance(maxDepth - 1)},
		{wat: instance(maxDepth), why: "nested more than"},
		{wat: "(component (type $t0 u8)" + repeat(16, func(i int) string {
			return fmt.Sprintf("(type $t%d (variant (case \"a\" $t%d) (case \"b\" $t%d)))", i+1, i, i)
		}) + ")", why: "made of more than"},
	})
}

func repeat(n int, of func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(of(i))
	}
	return b.String()
}
