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
