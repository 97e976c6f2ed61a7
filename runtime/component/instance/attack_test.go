package instance_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
)

// TestErrorContextsKeepLittle: of a long message the host keeps only what it shows.
func TestErrorContextsKeepLittle(t *testing.T) {
	x := start(t, `(component
		(core module $Memory (memory (export "mem") 256))
		(core instance $memory (instantiate $Memory))
		(core func $new (canon error-context.new (memory $memory "mem")))
		(core module $M (import "" "new" (func $new (param i32 i32) (result i32)))
			(func (export "run") (result i32) (local i32)
				(loop
					(drop (call $new (i32.const 0) (i32.const 0x1000000)))
					(local.set 0 (i32.add (local.get 0) (i32.const 1)))
					(br_if 0 (i32.lt_u (local.get 0) (i32.const 16))))
				(local.get 0)))
		(core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
		(func (export "run") (result u32) (canon lift (core func $m "run"))))`, nil)
	mustReturn(t, x, 16, "run")
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if kept := m.HeapAlloc >> 20; kept > 128 {
		t.Errorf("the host keeps %d MiB after 16 messages of 16 MiB", kept)
	}
	runtime.KeepAlive(x)
}

// TestPanicsEndTheInstance: a panic of the host outside of a guest's call ends that guest, and not
// the process.
func TestPanicsEndTheInstance(t *testing.T) {
	x := start(t, withBuiltins(blocking, run(invoke("later-sync", "1"))), functions{"later": func(c *canon.Call) {
		c.Task.Later(c, func() {})
		instance.Of(c).Post(func() { panic("a mistake") })
	}})
	f := x.Exports().Func("run")
	err := x.Call(context.Background(), f, nil, nil)
	var p *instance.Panic
	if !errors.As(err, &p) || p.Value != "a mistake" || len(p.Stack) == 0 {
		t.Errorf("the call ended with %v, wanted the panic", err)
	}
}

// lookingHost counts how often it may hold the guest back, and ends it at last.
type lookingHost struct{ looks, most int }

var errLooked = errors.New("the guest has to end")

func (h *lookingHost) Look() error {
	if h.looks++; h.looks == h.most {
		return errLooked
	}
	return nil
}

// TestCopiesAreHeldBack: one call that copies gigabytes gives the host a chance to hold the guest
// to its limit of processor time.
func TestCopiesAreHeldBack(t *testing.T) {
	g := load(t, `(component
		(component $A
			(core module $M (memory (export "mem") 257)
				(func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
				(func (export "take") (param i32 i32)))
			(core instance $m (instantiate $M))
			(func (export "take") (param "x" (list u8))
				(canon lift (core func $m "take") (memory $m "mem") (realloc (func $m "realloc")))))
		(instance $a (instantiate $A))
		(component $B (import "take" (func $take (param "x" (list u8))))
			(core module $Memory (memory (export "mem") 257))
			(core instance $memory (instantiate $Memory))
			(core func $take (canon lower (func $take) (memory $memory "mem")))
			(core module $M (import "" "take" (func $take (param i32 i32)))
				(func (export "run") (result i32) (call $take (i32.const 0) (i32.const 0x1000000)) (i32.const 1)))
			(core instance $m (instantiate $M (with "" (instance (export "take" (func $take))))))
			(func (export "run") (result u32) (canon lift (core func $m "run"))))
		(instance $b (instantiate $B (with "take" (func $a "take"))))
		(export "run" (func $b "run")))`, nil)
	h := &lookingHost{}
	mustReturn(t, g.run(t, h), 1, "run")
	if h.looks < 12 || h.looks > 20 {
		t.Errorf("the host could look %d times while 16 MiB were copied, want 16", h.looks)
	}
	if _, err := call(g.run(t, &lookingHost{most: 3}), "run"); !errors.Is(err, errLooked) {
		t.Errorf("the call ended with %v, want %v", err, errLooked)
	}
}
