package instance_test

import (
	"strconv"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
)

// directEngine has no engine: what it answers is called directly.
type directEngine struct {
	*componentengine.Engine
	host instance.Calls
}

func (e *directEngine) NewStore(number int, host instance.Calls) (instance.Store, error) {
	e.host = host
	return e.Engine.NewStore(number, host)
}

// BenchmarkHostCall calls a function of the host as an engine does, without one.
func BenchmarkHostCall(b *testing.B) {
	g := load(b, `(component
		(import "f" (func $f (param "x" u32) (result u32)))
		(core func $f (canon lower (func $f))) (core module $M (import "" "f" (func (param i32) (result i32))))
		(core instance (instantiate $M (with "" (instance (export "f" (func $f)))))))`,
		functions{"f": func(c *canon.Call) { c.Result().U32(c.Arg(0).U32()) }})
	e := &directEngine{Engine: g.engine}
	x, err := instance.New(g.program, e, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	b.ReportAllocs()
	var v [plan.MaxValues]plan.Value
	for b.Loop() {
		v[0].Bits = 5
		if err := e.host.Call(0, &v, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInstance makes and closes an instance of one store.
func BenchmarkInstance(b *testing.B) {
	g := load(b, withBuiltins(plain, run(n("1"))), functions{"later": soon})
	b.ReportAllocs()
	for b.Loop() {
		x, err := instance.New(g.program, g.engine, nil)
		if err != nil {
			b.Fatal(err)
		}
		x.Close()
	}
}

// BenchmarkTurn has a task go through the loop.
func BenchmarkTurn(b *testing.B) {
	for name, lifted := range map[string]how{"callback": callback, "guest": blocking} {
		b.Run(name, func(b *testing.B) {
			code := `(i32.const 1)`
			if lifted == blocking {
				code = `(loop (drop (call $yield)) (global.set $left (i32.sub (global.get $left) (i32.const 1))) (br_if 0 (global.get $left))) (i32.const 0)`
			}
			body := `(global $left (mut i32) (i32.const ` + strconv.Itoa(b.N) + `))` + run(code) + `(func (export "cb") (param i32 i32 i32) (result i32)
				(global.set $left (i32.sub (global.get $left) (i32.const 1)))
				(if (result i32) (i32.gt_s (global.get $left) (i32.const 0))
					(then (i32.const 1))
					(else (call $task.return (i32.const 0)) (i32.const 0))))`
			x := start(b, withBuiltins(lifted, body), functions{"later": soon})
			b.ResetTimer()
			mustReturn(b, x, 0, "run")
		})
	}
}

// BenchmarkStream has a guest read a stream of the host.
func BenchmarkStream(b *testing.B) {
	const part = 64 << 10
	text := make([]byte, part)
	left := b.N
	host := functions{
		"give": func(c *canon.Call) {
			w, handle := instance.NewStream(instance.Of(c), c.Func.Result, byteCodec)
			var next func()
			next = func() {
				if left--; left < 0 {
					w.Close()
					return
				}
				w.Write(text, func(int, bool) { next() })
			}
			next()
			c.Result().Handle(handle)
		},
		"take": now, "promise": now, "await": now,
	}
	x := start(b, withStreams(`
		(local.set $s (call $give))
		(loop (br_if 0 (i32.eqz (i32.and (call $read (local.get $s) (i32.const 0) (i32.const `+strconv.Itoa(part)+`)) (i32.const 15)))))
		(i32.const 1)`), host)
	b.SetBytes(part)
	b.ResetTimer()
	mustReturn(b, x, 1, "run")
}
