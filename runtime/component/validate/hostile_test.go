package validate

import (
	"errors"
	"fmt"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// steps is how many steps it takes to validate a component, and its result. Its bound is lower.
func steps(c *binary.Component) (n int, err error) {
	v := newValidator()
	v.limit = 200_000
	err = v.validate(c)
	return v.steps, err
}

// TestGrowthIsRefused has components whose types or instances double with each definition.
func TestGrowthIsRefused(t *testing.T) {
	const n = 60
	for name, wat := range map[string]string{
		// Each instance type has two instances of the one before, each with resource types
		// of its own.
		"instances of types with resources": `(component (type (instance (export "r" (type (sub resource)))))` + repeat(n, func(i int) string {
			return fmt.Sprintf(`(type (instance (alias outer 1 %d (type $t)) (export "a" (instance (type $t))) (export "b" (instance (type $t)))))`, i)
		}) + `)`,
		// The same without resources: comparing two of them compares trees.
		"instances of types": `(component ` + doubled("i", n) + doubled("j", n) + fmt.Sprintf(`(import "a" (instance $a (type $i%d)))
			(component $c %s (import "a" (instance (type $k%d)))) (instance (instantiate $c (with "a" (instance $a)))))`, n, doubled("k", n), n),
		// Each component instantiates the one before twice.
		"instances of components": `(component ` + repeat(n, func(i int) string {
			inner := `(type $r (resource (rep i32))) (export "r" (type $r))`
			if i > 0 {
				inner = fmt.Sprintf(`(alias outer 1 %d (component $c)) (instance $a (instantiate $c)) (instance $b (instantiate $c)) (export "a" (instance $a)) (export "b" (instance $b))`, i-1)
			}
			return "(component " + inner + ")"
		}) + `)`,
		"bundles": `(component (import "f" (func $f)) (instance (export "a" (func $f)))` + repeat(n, func(i int) string {
			return fmt.Sprintf(`(instance (export "a" (instance %d)) (export "b" (instance %d)))`, i, i)
		}) + fmt.Sprintf(`(export "a" (instance %d)))`, n),
	} {
		count, err := steps(assemble(t, wat))
		if !errors.Is(err, binary.ErrUnsupported) {
			t.Errorf("%s: %v after %d steps", name, err, count)
		}
	}
}

// doubled is a chain of instance types, each with two instances of the one before.
func doubled(name string, n int) string {
	return fmt.Sprintf(`(type $%s0 (instance (export "f" (func))))`, name) + repeat(n, func(i int) string {
		return fmt.Sprintf(`(type $%s%d (instance (export "a" (instance (type $%s%d))) (export "b" (instance (type $%s%d)))))`, name, i+1, name, i, name, i)
	})
}

// TestSharedTypesCostNothing has types of values of which each has the one before twice. As trees
// they have 2^15 nodes.
func TestSharedTypesCostNothing(t *testing.T) {
	const n = 15
	chain := func(name string) string {
		return fmt.Sprintf(`(type $%s0 (own $r))`, name) + repeat(n, func(i int) string {
			return fmt.Sprintf(`(type $%s%d (list (tuple $%s%d $%s%d)))`, name, i+1, name, i, name, i)
		})
	}
	c := assemble(t, `(component (import "r" (type $r (sub resource))) `+chain("a")+fmt.Sprintf(`(import "f" (func $f (param "p" $a%d)))
		(component $c (import "r" (type $r (sub resource))) %s (import "f" (func (param "p" $b%d))))
		(instance (instantiate $c (with "r" (type $r)) (with "f" (func $f)))))`, n, chain("b"), n))
	count, err := steps(c)
	if err != nil || count > 1000 {
		t.Errorf("%d steps: %v", count, err)
	}
}

// TestStepsAreInProportion has components that are long in one way: twice as long may not take more
// than about twice as many steps.
func TestStepsAreInProportion(t *testing.T) {
	for name, of := range map[string]func(n int) string{
		"imports": func(n int) string {
			return repeat(n, func(i int) string { return fmt.Sprintf(`(import "f%d" (func (param "a" u8)))`, i) })
		},
		"types": func(n int) string {
			return `(type u8)` + repeat(n, func(i int) string { return `(type (option 0))` })
		},
		"fields": func(n int) string {
			return `(type (record` + repeat(n, func(i int) string { return fmt.Sprintf(` (field "f%d" u8)`, i) }) + `))`
		},
		"records that are used by functions": func(n int) string {
			return `(type $r (record (field "x" u8))) (import "r" (type $q (eq $r)))` + repeat(n, func(i int) string {
				return fmt.Sprintf(`(import "f%d" (func (param "a" (list (option $q)))))`, i)
			})
		},
		"resources": func(n int) string {
			return repeat(n, func(i int) string {
				return fmt.Sprintf(`(type $r%d (resource (rep i32))) (export "r%d" (type $r%d))`, i, i, i)
			})
		},
		"core types": func(n int) string {
			return `(core type (sub (func)))` + repeat(n, func(i int) string { return fmt.Sprintf(`(core type (func (param (ref %d))))`, i) })
		},
		"instances": func(n int) string {
			return `(component $c)` + repeat(n, func(int) string { return `(instance (instantiate $c))` })
		},
		"outer aliases": func(n int) string {
			return `(type u8) (component ` + repeat(n, func(int) string { return `(alias outer 1 0 (type))` }) + `)`
		},
		"nested components": func(n int) string {
			return repeat(n/10, func(int) string { return `(component (import "a" (func)))` })
		},
	} {
		once, err := steps(assemble(t, `(component `+of(1000)+`)`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		twice, err := steps(assemble(t, `(component `+of(2000)+`)`))
		if err != nil || twice > once*5/2 {
			t.Errorf("%s: %d steps, and %d for twice as many: %v", name, once, twice, err)
		}
	}
}

// TestManyInstancesOfAManyTypes has as many steps as its two lengths multiplied: the bound holds
// it.
func TestManyInstancesOfManyTypes(t *testing.T) {
	wat := `(component (component $c (type $r (resource (rep i32))) (export $q "r" (type $r))` + repeat(600, func(i int) string {
		return fmt.Sprintf(`(type (own $q)) (export "t%d" (type %d))`, i, 2+2*i)
	}) + `)` + repeat(900, func(int) string { return `(instance (instantiate $c))` }) + `)`
	count, err := steps(assemble(t, wat))
	if !errors.Is(err, binary.ErrUnsupported) || count > 210_000 {
		t.Errorf("%d steps: %v", count, err)
	}
}

func BenchmarkMostSteps(b *testing.B) {
	c := assemble(b, `(component `+doubled("i", 60)+`(import "a" (instance (type $i60))))`)
	for b.Loop() {
		if err := Validate(c); err == nil {
			b.Fatal("it is valid")
		}
	}
}
