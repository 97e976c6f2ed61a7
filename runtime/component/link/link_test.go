package link_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
)

func linked(t testing.TB, text string) *link.Component {
	t.Helper()
	c, err := componentengine.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Validate(c); err != nil {
		t.Fatal(err)
	}
	l, err := link.Link(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCompatible(t *testing.T) {
	for _, test := range [][2]string{
		{"wasi:io/streams@0.2.4", "wasi:io/streams@0.2"},
		{"wasi:io/streams@0.2", "wasi:io/streams@0.2"},
		{"wasi:cli/run@0.3.0", "wasi:cli/run@0.3"},
		{"wasi:cli/run@0.3.0-rc-2025-09-16", "wasi:cli/run@0.3.0-rc-2025-09-16"},
		{"wasi:cli/run@0.3.0+build", "wasi:cli/run@0.3"},
		{"a:b/c@1.2.3", "a:b/c@1"},
		{"a:b/c@0.0.3", "a:b/c@0.0.3"},
		{"a:b/c", "a:b/c"},
		{"name", "name"},
	} {
		if got := link.Compatible(test[0]); got != test[1] {
			t.Errorf("%s is compatible with %s, wanted %s", test[0], got, test[1])
		}
	}
}

// TestPlan links two component instances whose core instances need each other in turn.
func TestPlan(t *testing.T) {
	l := linked(t, `(component
		(import "a:b/c@0.2.4" (instance $host (export "f" (func (param "x" string)))))
		(component $A (core module $M (func (export "g"))) (core instance $m (instantiate $M))
			(func (export "g") (canon lift (core func $m "g"))))
		(instance $a (instantiate $A))
		(core module $L (memory (export "mem") 1))
		(core instance $l (instantiate $L))
		(core func $f (canon lower (func $host "f") (memory $l "mem")))
		(core func $g (canon lower (func $a "g")))
		(core module $N (import "x" "g" (func)) (import "x" "f" (func (param i32 i32))) (func (export "run")))
		(core instance $n (instantiate $N (with "x" (instance (export "f" (func $f)) (export "g" (func $g))))))
		(func (export "run") (canon lift (core func $n "run"))))`)
	if got, want := l.Plan.Order, []int32{1, 0}; !reflect.DeepEqual(got, want) {
		t.Fatalf("the stores take turns %v, wanted %v", got, want)
	}
	if len(l.Plan.Modules) != 3 {
		t.Fatalf("the plan has %d modules, wanted 3", len(l.Plan.Modules))
	}
	outer := plan.Store{
		Functions: []plan.Function{
			{Name: "a:b/c@0.2#f", Params: []types.Core{types.I32, types.I32}, Memory: 2},
			{Params: []types.Core{}, Memory: -1},
		},
		Items: 4, Instances: 2,
		Steps: []plan.Step{
			{Op: plan.Instantiate, Module: 1},
			{Op: plan.Export, Name: "mem", Item: 2},
			{Op: plan.Instantiate, Module: 2, Instance: 1, Args: []int32{1, 0}},
			{Op: plan.Export, Instance: 1, Name: "run", Item: 3},
		},
	}
	if got := l.Plan.Stores[0]; !reflect.DeepEqual(got.Steps, outer.Steps) || !reflect.DeepEqual(got.Functions, outer.Functions) ||
		got.Items != outer.Items || got.Instances != outer.Instances {
		t.Errorf("the store of the component is %+v, wanted %+v", got, outer)
	}
	inner := []plan.Step{{Op: plan.Instantiate}, {Op: plan.Export, Name: "g", Item: 0}, {Op: plan.Stop}}
	if got := l.Plan.Stores[1].Steps; !reflect.DeepEqual(got, inner) {
		t.Errorf("the steps of the inner component are %+v, wanted %+v", got, inner)
	}
	if got := l.Imports; len(got) != 1 || got[0].Interface != "a:b/c@0.2.4" || got[0].Name != "f" {
		t.Errorf("the component imports %+v", got)
	}
	if got := l.Plan.Stores[1].Name; got != "a" {
		t.Errorf("the inner component is called %q, wanted a", got)
	}
	if run := l.Exports.Func("run"); run == nil || run.Core != 3 || run.Options.Instance != 0 {
		t.Errorf("the component exports %+v", run)
	}
}

// TestResourcesAreGenerative has two instances of one component define two resource types, and two
// versions of an interface of the host one.
func TestResourcesAreGenerative(t *testing.T) {
	l := linked(t, `(component
		(component $A (type $R (resource (rep i32))) (export "r" (type $R)))
		(instance $a (instantiate $A)) (instance $b (instantiate $A))
		(export "a" (instance $a)) (export "b" (instance $b))
		(import "h:i/j@0.2.1" (instance $h (export "r" (type (sub resource)))))
		(import "h:i/j@0.2.2" (instance $i (export "r" (type (sub resource)))))
		(import "h:i/j@0.3.0" (instance $j (export "r" (type (sub resource)))))
		(export "h" (instance $h)) (export "i" (instance $i)) (export "j" (instance $j)))`)
	of := func(name string) *types.Resource { return l.Exports.Instance(name).Export("r").(*types.Resource) }
	if of("a") == of("b") {
		t.Error("two instances of a component define the same resource type")
	}
	if of("h") != of("i") {
		t.Error("two compatible versions of an interface have two resource types")
	}
	if of("h") == of("j") {
		t.Error("versions of an interface that are not compatible have the same resource type")
	}
}

// doubling makes components each of which instantiates the one before it twice.
func doubling(levels int, core string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "(component (component $c0 %s)", core)
	for i := range levels {
		fmt.Fprintf(&s, "(component $c%d (alias outer 1 %d (component $x)) (instance (instantiate $x)) (instance (instantiate $x)))", i+1, i)
	}
	fmt.Fprintf(&s, "(instance (instantiate $c%d)))", levels)
	return s.String()
}

// TestGrowthIsBounded links components that would make more than any machine has.
func TestGrowthIsBounded(t *testing.T) {
	var many strings.Builder
	for range 3000 {
		many.WriteString("(type (tuple u8 u8 u8 u8 u8 u8 u8 u8))")
	}
	for _, test := range []struct{ name, text, trap string }{
		{"instances", doubling(40, ""), "component instances"},
		{"stores", doubling(8, "(core module $M) (core instance (instantiate $M))"), "component instances with core modules"},
		{"definitions", doubling(9, many.String()), "evaluated definitions"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := componentengine.Assemble(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := link.Link(c); err == nil || !strings.Contains(err.Error(), test.trap) {
				t.Errorf("linking ended with %v, wanted an error of too many %s", err, test.trap)
			}
		})
	}
}

func TestThreadsAreRefused(t *testing.T) {
	c := &binary.Component{Definitions: []binary.Definition{&binary.Builtin{Op: binary.ThreadSuspend}}}
	if _, err := link.Link(c); err == nil || !strings.Contains(err.Error(), "thread.suspend") {
		t.Errorf("linking ended with %v, wanted an error that names thread.suspend", err)
	}
}

// FuzzLink links whatever is valid, and some of what is not: it must not panic.
func FuzzLink(f *testing.F) {
	for _, text := range []string{
		"(component)",
		doubling(3, "(core module $M (func (export \"f\"))) (core instance $m (instantiate $M)) (func (export \"f\") (canon lift (core func $m \"f\")))"),
		`(component (import "a:b/c@0.2.0" (instance $i (export "r" (type $r (sub resource))) (export "f" (func (param "x" (own $r))))))
			(alias export $i "r" (type $r)) (core func (canon resource.drop $r)) (core func (canon lower (func $i "f"))))`,
	} {
		b, err := componentengine.Binary(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		c, err := binary.Decode(b)
		if err != nil {
			return
		}
		_, _ = link.Link(c) // it is refused, or linked, whether it is valid or not
	})
}
