package instance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
)

// pair makes a component of two: what the second one imports the first one exports. Both have the
// resource type of the first one.
func pair(first, second string) string {
	return `(component
		(component $A
			(core module $DM (global $n (mut i32) (i32.const 0))
				(func (export "drop") (param i32) (global.set $n (i32.add (global.get $n) (local.get 0))))
				(func (export "count") (result i32) (global.get $n)))
			(core instance $dm (instantiate $DM))
			(type $R (resource (rep i32) (dtor (func $dm "drop"))))
			(core func $new (canon resource.new $R))
			(core func $rep (canon resource.rep $R))
			(core func $drop (canon resource.drop $R))
			(core module $M
				(import "" "new" (func $new (param i32) (result i32)))
				(import "" "rep" (func $rep (param i32) (result i32)))
				(import "" "drop" (func $drop (param i32)))
				(func (export "make") (result i32) (call $new (i32.const 5)))
				` + first + `)
			(core instance $m (instantiate $M (with "" (instance (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
			(export $R' "r" (type $R))
			(func (export "make") (result (own $R')) (canon lift (core func $m "make")))
			(func (export "look") (param "r" (borrow $R')) (result u32) (canon lift (core func $m "look")))
			(func (export "take") (param "r" (own $R')) (result u32) (canon lift (core func $m "take")))
			(func (export "count") (result u32) (canon lift (core func $dm "count"))))
		(instance $a (instantiate $A))
		(component $B
			(import "a" (instance $a
				(export "r" (type $R (sub resource)))
				(export "make" (func (result (own $R))))
				(export "look" (func (param "r" (borrow $R)) (result u32)))
				(export "take" (func (param "r" (own $R)) (result u32)))
				(export "count" (func (result u32)))))
			(alias export $a "r" (type $R))
			(core func $make (canon lower (func $a "make")))
			(core func $look (canon lower (func $a "look")))
			(core func $take (canon lower (func $a "take")))
			(core func $count (canon lower (func $a "count")))
			(core func $drop (canon resource.drop $R))
			(core module $M
				(import "" "make" (func $make (result i32)))
				(import "" "look" (func $look (param i32) (result i32)))
				(import "" "take" (func $take (param i32) (result i32)))
				(import "" "count" (func $count (result i32)))
				(import "" "drop" (func $drop (param i32)))
				(func (export "run") (result i32) ` + second + `))
			(core instance $m (instantiate $M (with "" (instance (export "make" (func $make)) (export "look" (func $look))
				(export "take" (func $take)) (export "count" (func $count)) (export "drop" (func $drop))))))
			(func (export "run") (result u32) (canon lift (core func $m "run"))))
		(instance $b (instantiate $B (with "a" (instance $a))))
		(export "run" (func $b "run")))`
}

// TestResources passes resources between two components.
func TestResources(t *testing.T) {
	const (
		look = `(func (export "look") (param i32) (result i32) (local.get 0))`
		take = `(func (export "take") (param i32) (result i32) (call $rep (local.get 0)))`
		made = `(drop (call $make))`
	)
	for _, test := range []struct {
		name   string
		first  string
		second string
		want   uint32
		trap   string
	}{
		{"lend: who defines it gets what stands for it", look + take, made + invoke("look", "1"), 5, ""},
		{"give away", look + take, made + invoke("take", "1"), 5, ""},
		{"give away twice", look + take, made + dropped(invoke("take", "1")) + invoke("take", "1"), 0, "there is no handle"},
		{"drop, with the destructor of the other", look + take, made + invoke("drop", "1") + `(call $count)`, 5, ""},
		{"lend what was given away", look + take, made + dropped(invoke("take", "1")) + invoke("look", "1"), 0, "there is no handle"},
		{"a destructor of its own", look + `(func (export "take") (param i32) (result i32) (call $drop (local.get 0)) (i32.const 3))`,
			made + invoke("take", "1") + `(i32.add (call $count))`, 8, ""},
		{"a forged handle", look + take, invoke("look", "77"), 0, "there is no handle"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			x := start(t, pair(test.first, test.second), nil)
			if test.trap == "" {
				mustReturn(t, x, test.want, "run")
				return
			}
			mustTrap(t, x, test.trap, "run")
		})
	}
}

// hostResource is a resource of a host.
type hostResource struct{ dropped *int }

func (r hostResource) Drop() { *r.dropped++ }

// TestHostResources has a component keep, lend and drop resources of the host.
func TestHostResources(t *testing.T) {
	text := func(code string) string {
		return `(component
			(import "a:b/c@0.2.1" (instance $i
				(export "r" (type $R (sub resource)))
				(export "make" (func (result (own $R))))
				(export "look" (func (param "r" (borrow $R)) (result u32)))))
			(import "a:b/c@0.2.9" (instance $j
				(export "r" (type $R (sub resource)))
				(export "take" (func (param "r" (own $R)) (result u32)))))
			(alias export $i "r" (type $R))
			(core func $make (canon lower (func $i "make")))
			(core func $look (canon lower (func $i "look")))
			(core func $take (canon lower (func $j "take")))
			(core func $drop (canon resource.drop $R))
			(core module $M
				(import "" "make" (func $make (result i32)))
				(import "" "look" (func $look (param i32) (result i32)))
				(import "" "take" (func $take (param i32) (result i32)))
				(import "" "drop" (func $drop (param i32)))
				(func (export "run") (result i32) ` + code + `))
			(core instance $m (instantiate $M (with "" (instance (export "make" (func $make)) (export "look" (func $look))
				(export "take" (func $take)) (export "drop" (func $drop))))))
			(func (export "run") (result u32) (canon lift (core func $m "run"))))`
	}
	for _, test := range []struct {
		name  string
		code  string
		want  uint32
		drops int
		trap  string
	}{
		{"lend and drop", dropped(`(call $make)`) + invoke("look", "1") + invoke("drop", "1"), 11, 1, ""},
		{"give away, to another version", dropped(`(call $make)`) + invoke("take", "1"), 12, 0, ""},
		{"drop twice", dropped(`(call $make)`) + invoke("drop", "1") + invoke("drop", "1") + n("0"), 0, 1, "there is no handle"},
	} {
		t.Run(test.name, func(t *testing.T) {
			drops := 0
			x := start(t, text(test.code), functions{
				"make": func(c *canon.Call) { c.Result().Handle(canon.Handle{Host: hostResource{&drops}}) },
				"look": func(c *canon.Call) {
					_ = c.Arg(0).Handle().Host.(hostResource)
					c.Result().U32(11)
				},
				"take": func(c *canon.Call) {
					_ = c.Arg(0).Handle().Host.(hostResource)
					c.Result().U32(12)
				},
			})
			if test.trap == "" {
				mustReturn(t, x, test.want, "run")
			} else {
				mustTrap(t, x, test.trap, "run")
			}
			if drops != test.drops {
				t.Errorf("the host's resource was dropped %d times, wanted %d", drops, test.drops)
			}
		})
	}
}

// TestMayNotLeave has realloc and post-return call out.
func TestMayNotLeave(t *testing.T) {
	text := func(realloc, post string) string {
		return `(component
			(import "f" (func $f))
			(core func $f (canon lower (func $f)))
			(core module $M (import "" "f" (func $f)) (memory (export "mem") 1)
				(func (export "realloc") (param i32 i32 i32 i32) (result i32) ` + realloc + `(i32.const 64))
				(func (export "run") (param i32 i32) (result i32) (local.get 1))
				(func (export "post") (param i32) ` + post + `))
			(core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
			(func (export "run") (param "s" string) (result u32)
				(canon lift (core func $m "run") (memory $m "mem") (realloc (func $m "realloc")) (post-return (func $m "post")))))`
	}
	for _, test := range []struct{ name, realloc, post, trap string }{
		{"neither", "", "", ""},
		{"realloc", "(call $f)", "", "may not leave"},
		{"post-return", "", "(call $f)", "may not leave"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := start(t, text(test.realloc, test.post), functions{"f": func(*canon.Call) {}})
			var got uint32
			err := x.Call(t.Context(), x.Exports().Func("run"), func(to canon.Place) { to.Field(0).String("four") },
				func(v canon.Value) { got = v.U32() })
			switch {
			case test.trap == "" && (err != nil || got != 4):
				t.Errorf("run returned %d, %v, wanted 4", got, err)
			case test.trap != "" && (err == nil || !strings.Contains(err.Error(), test.trap)):
				t.Errorf("run ended with %v, wanted the trap %q", err, test.trap)
			}
		})
	}
}

// chain makes components each of which calls the one before it.
func chain(length int) string {
	var s strings.Builder
	s.WriteString(`(component (component $C (core module $M (func (export "f") (result i32) (i32.const 1)))
		(core instance $m (instantiate $M)) (func (export "f") (result u32) (canon lift (core func $m "f"))))
		(instance $i0 (instantiate $C))
		(component $D (import "f" (func $f (result u32))) (core func $f (canon lower (func $f)))
			(core module $M (import "" "f" (func $f (result i32))) (func (export "f") (result i32) (i32.add (call $f) (i32.const 1))))
			(core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
			(func (export "f") (result u32) (canon lift (core func $m "f"))))`)
	for i := 1; i < length; i++ {
		fmt.Fprintf(&s, "(instance $i%d (instantiate $D (with \"f\" (func $i%d \"f\"))))\n", i, i-1)
	}
	fmt.Fprintf(&s, "(export \"run\" (func $i%d \"f\")))", length-1)
	return s.String()
}

// TestDepth bounds how many components call each other above one stack.
func TestDepth(t *testing.T) {
	mustReturn(t, start(t, chain(8), nil), 8, "run")
	mustTrap(t, start(t, chain(11), nil), "calls of components are nested", "run")
}

// TestHandlesAreBounded has a guest make handles without end.
func TestHandlesAreBounded(t *testing.T) {
	check(t, plain, run(`(loop (drop (call $set.new)) (br 0)) unreachable`), nil, 0, "more than 65536 handles")
}

// TestCallsAreBounded has a guest make calls of the host without end, none of which ends.
func TestCallsAreBounded(t *testing.T) {
	check(t, blocking, run(`(loop (drop (call $later (i32.const 1) (i32.const 200))) (br 0)) unreachable`), never, 0, "more than 16384 calls of the host")
}

// TestStartMayCallHost has the start function of a module call the host while the component is
// made.
func TestStartMayCallHost(t *testing.T) {
	const text = `(component (import "f" (func $f)) (core func $f (canon lower (func $f)))
		(core module $M (import "" "f" (func $f)) (start $f))
		(core instance (instantiate $M (with "" (instance (export "f" (func $f)))))))`
	called := 0
	start(t, text, functions{"f": func(*canon.Call) { called++ }})
	if called != 1 {
		t.Errorf("the host was called %d times, wanted 1", called)
	}
	g := load(t, text, functions{"f": func(*canon.Call) { canon.Trapf("no") }})
	if _, err := instance.New(g.program, g.engine, nil); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("New ended with %v, wanted the trap of the start function", err)
	}
}
