package validate

import "testing"

func TestArguments(t *testing.T) {
	// given is a component with a component in it that imports x, and gets an item.
	given := func(outer, x, with string) string {
		return `(component ` + outer + ` (component $c ` + x + `) (instance (instantiate $c ` + with + `)))`
	}
	const with = `(with "x" (func $f))`
	checkRules(t, []rule{
		{wat: given(`(import "f" (func $f (param "a" u8)))`, `(import "x" (func (param "a" u8)))`, with)},
		{wat: given(`(import "f" (func $f (param "a" u8)))`, `(import "x" (func (param "b" u8)))`, with), why: "its function type is another"},
		{wat: given(`(import "f" (func $f (param "a" u8)))`, `(import "x" (func (param "a" s8)))`, with), why: "its function type is another"},
		{wat: given(`(import "f" (func $f))`, `(import "x" (func (result u8)))`, with), why: "its function type is another"},
		{wat: given(`(import "f" (func $f (result (option u8))))`, `(import "x" (func (result (option u8))))`, with)},
		{wat: given(`(import "f" (func $f))`, `(import "x" (func))`, ""), why: `it gets nothing for its import "x"`},
		{wat: given(`(import "f" (func $f))`, `(import "x" (instance))`, with), why: "it is a function, and an instance is wanted"},
		{wat: given(`(import "f" (func $f))`, ``, `(with "NoKebab" (func $f))`)},
		{wat: given(`(import "f" (func $f))`, ``, `(with "a" (func $f)) (with "a" (func $f))`), why: "two arguments"},
		{wat: given(``, ``, `(with "a" (func 0))`), why: "there is no function 0"},
		{wat: given(`(import "f" (func $f))`, `(import "x" (func)) (import "y" (func))`, with), why: `import "y"`},
		{wat: `(component (instance (instantiate 0)))`, why: "there is no component 0"},
		{wat: given(`(import "i" (instance $i (export "a" (func)) (export "b" (func))))`, `(import "x" (instance (export "a" (func))))`, `(with "x" (instance $i))`)},
		{wat: given(`(import "i" (instance $i (export "a" (func))))`, `(import "x" (instance (export "b" (func))))`, `(with "x" (instance $i))`), why: `it has no export "b"`},
		{wat: given(`(import "i" (instance $i (export "a" (func))))`, `(import "x" (instance (export "a" (component))))`, `(with "x" (instance $i))`), why: `export "a"`},
		{wat: given(`(type $t (tuple u8))`, `(type $t (tuple u8)) (import "x" (type (eq $t)))`, `(with "x" (type $t))`)},
		{wat: given(`(type $t (tuple u16))`, `(type $t (tuple u8)) (import "x" (type (eq $t)))`, `(with "x" (type $t))`), why: "not equal"},
		{wat: given(`(type $t (enum "a"))`, `(type $t (enum "b")) (import "x" (type (eq $t)))`, `(with "x" (type $t))`), why: "not equal"},
		{wat: given(`(type $t (func))`, `(type $t (func)) (import "x" (type (eq $t)))`, `(with "x" (type $t))`)},
		{wat: given(`(type $t (instance (export "a" (func))))`, `(type $t (instance (export "a" (func)))) (import "x" (type (eq $t)))`, `(with "x" (type $t))`)},
		{wat: given(`(type $t (instance (export "a" (func)) (export "b" (func))))`, `(type $t (instance (export "a" (func)))) (import "x" (type (eq $t)))`, `(with "x" (type $t))`), why: "not equal"},
	})
}

func TestArgumentsThatAreComponents(t *testing.T) {
	given := func(have, want string) string {
		return `(component (component $have ` + have + `) (component $c (import "x" (component ` + want + `))) (instance (instantiate $c (with "x" (component $have)))))`
	}
	const out = `(import "b" (func $f)) `
	checkRules(t, []rule{
		{wat: given(`(import "a" (func))`, `(import "a" (func)) (import "b" (func))`)},
		{wat: given(`(import "a" (func)) (import "b" (func))`, `(import "a" (func))`), why: `it gets nothing for its import "b"`},
		{wat: given(`(import "a" (func (param "p" u8)))`, `(import "a" (func))`), why: "does not fit"},
		{wat: given(out+`(export "x" (func $f)) (export "y" (func $f))`, out+`(export "x" (func))`)},
		{wat: given(out+`(export "x" (func $f))`, out+`(export "y" (func))`), why: `it has no export "y"`},
		{wat: given(`(import "t" (type $t (sub resource))) (import "f" (func $f (result (own $t)))) (export "g" (func $f))`,
			`(import "t" (type $t (sub resource))) (import "f" (func (result (own $t)))) (export "g" (func (result (own $t))))`)},
		{wat: given(`(import "t" (type $t (sub resource))) (import "u" (type $u (sub resource))) (import "f" (func $f (result (own $u)))) (export "g" (func $f))`,
			`(import "t" (type $t (sub resource))) (import "u" (type $u (sub resource))) (import "f" (func (result (own $u)))) (export "g" (func (result (own $t))))`), why: "its function type is another"},
		{wat: given(`(type $t (resource (rep i32))) (export $r "r" (type $t)) (export "s" (type $r))`, `(export "r" (type $r (sub resource))) (export "s" (type (eq $r)))`)},
		{wat: given(`(type $t (resource (rep i32))) (type $u (resource (rep i32))) (export "r" (type $t)) (export "s" (type $u))`,
			`(export "r" (type $r (sub resource))) (export "s" (type (eq $r)))`), why: "not the same"},
		{wat: given(`(type $t (resource (rep i32))) (export $r "r" (type $t)) (export "s" (type $r))`, `(export "r" (type (sub resource))) (export "s" (type (sub resource)))`)},
	})
}

// eq is a component that wants the same resource type twice.
const eq = `(component $eq (import "a" (type $a (sub resource))) (import "b" (type (eq $a))))`

func TestResourceTypesThatAreTheSame(t *testing.T) {
	same := func(before, a, b string) string {
		return `(component ` + before + eq + ` (instance (instantiate $eq (with "a" (type ` + a + `)) (with "b" (type ` + b + `)))))`
	}
	const (
		two  = `(import "t" (type $t (sub resource))) (import "u" (type $u (sub resource))) (import "v" (type $v (eq $u)))`
		make = `(component $c (type $r (resource (rep i32))) (export "r" (type $r)) (export "s" (type $r)))`
		pass = `(component $p (import "x" (type $x (sub resource))) (export "y" (type $x)))`
	)
	checkRules(t, []rule{
		{wat: same(two, "$t", "$t")},
		{wat: same(two, "$u", "$v")},
		{wat: same(two, "$t", "$u"), why: "not the same"},
		{wat: same(`(type $t (resource (rep i32))) (type $u (resource (rep i32)))`, "$t", "$u"), why: "not the same"},
		{wat: same(`(type $t (resource (rep i32))) (export $u "u" (type $t))`, "$t", "$u")},
		{wat: same(`(type $t (resource (rep i32))) (export $u "u" (type $t) (type (sub resource)))`, "$t", "$u"), why: "not the same"},
		{wat: same(`(type $t u8)`, "$t", "$t"), why: "a resource type is wanted"},
		{wat: same(make+`(instance $i (instantiate $c))`, `$i "r"`, `$i "s"`)},
		{wat: same(make+`(instance $i (instantiate $c)) (instance $j (instantiate $c))`, `$i "r"`, `$j "r"`), why: "not the same"},
		{wat: same(`(type $i (instance (export "r" (type (sub resource))))) (import "i" (instance $i (type $i))) (import "j" (instance $j (type $i)))`, `$i "r"`, `$j "r"`), why: "not the same"},
		{wat: same(pass+`(type $t (resource (rep i32))) (instance $i (instantiate $p (with "x" (type $t))))`, "$t", `$i "y"`)},
		{wat: same(pass+`(type $t (resource (rep i32))) (type $u (resource (rep i32))) (instance $i (instantiate $p (with "x" (type $t))))`, "$u", `$i "y"`), why: "not the same"},
		{wat: same(`(component $q (import "i" (instance $i (export "r" (type (sub resource))))) (export "o" (instance $i)))
			(type $t (resource (rep i32))) (instance $i (instantiate $q (with "i" (instance (export "r" (type $t))))))`, "$t", `$i "o" "r"`)},
		{wat: `(component (import "t" (type $t (sub resource))) (import "u" (type $u (sub resource))) (import "f" (func $f (param "a" (list (own $u)))))
			(component $c (import "t" (type $t (sub resource))) (import "f" (func (param "a" (list (own $t))))))
			(instance (instantiate $c (with "t" (type $t)) (with "f" (func $f)))))`, why: "its function type is another"},
		{wat: `(component (import "t" (type $t (sub resource))) (import "f" (func $f (param "a" (list (own $t)))))
			(component $c (import "t" (type $t (sub resource))) (import "f" (func (param "a" (list (own $t))))))
			(instance (instantiate $c (with "t" (type $t)) (with "f" (func $f)))))`},
	})
}

func TestExportsThatSayTheirType(t *testing.T) {
	checkRules(t, []rule{
		{wat: `(component (import "i" (instance $i (export "f" (func)))) (export "e" (instance $i) (instance)))`},
		{wat: `(component (import "i" (instance $i)) (export "e" (instance $i) (instance (export "f" (func)))))`, why: `it has no export "f"`},
		{wat: `(component (import "f" (func $f)) (export "e" (func $f) (func (param "a" u8))))`, why: "not of the type"},
		{wat: `(component (import "i" (instance $i (export "f" (func)))) (export $e "e" (instance $i) (instance)) (alias export $e "f" (func)))`, why: `has no export "f"`},
		{wat: `(component (type $t u8) (export "e" (type $t) (type (eq $t))))`},
		{wat: `(component (type $t u8) (type $u u16) (export "e" (type $t) (type (eq $u))))`, why: "not equal"},
		{wat: `(component (type $t (resource (rep i32))) (export $e "e" (type $t) (type (sub resource))) (core func (canon resource.new $e)))`, why: "not defined in this component"},
	})
}
