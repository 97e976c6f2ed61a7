package instance_test

import (
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
