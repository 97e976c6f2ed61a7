package sample_test

import (
	"context"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/hack/witgen/sample"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// rig is a guest that calls the sample's functions, without an engine.
type rig struct {
	t         testing.TB
	guest     *canontest.Guest
	program   *program
	resources map[string]*types.Resource

	// later are calls that are answered later.
	later  *canon.Call
	finish func(c *canon.Call)
	cancel func()
	ended  int
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, guest: canontest.NewGuest(1<<20, binary.UTF8), program: &program{}, resources: map[string]*types.Resource{}}
	r.program.host = &sample.Host{Values: r.program, Things: r.program, Ports: r.program}
	return r
}

// typeOf makes a type as the linker makes it of a component.
func (r *rig) typeOf(index int32) *types.Type {
	if index == typed.Missing {
		return nil
	}
	d := sample.Table.Types[index]
	t := types.Type{Kind: d.Kind, Labels: d.Labels, Length: d.Length}
	for _, e := range d.Elems {
		t.Elems = append(t.Elems, r.typeOf(e))
	}
	if d.Resource != "" {
		if r.resources[d.Resource] == nil {
			r.resources[d.Resource] = &types.Resource{Name: d.Resource}
		}
		t.Resource = r.resources[d.Resource]
	}
	if d.Kind <= types.ErrorContext {
		return types.Prim(d.Kind)
	}
	return types.New(t)
}

func (r *rig) funcOf(f *typed.Function) *types.Func {
	t := types.Func{Async: f.Async, Result: r.typeOf(f.Result)}
	for i, p := range f.Params {
		t.Params = append(t.Params, types.Param{Label: f.Labels[i], Type: r.typeOf(p)})
	}
	return types.NewFunc(t)
}

// call is a call of a function by the guest.
type call struct {
	rig   *rig
	fn    *types.Func
	stub  canon.Stub
	frame canon.Frame
	sig   types.Signature
	flat  [plan.MaxValues]plan.Value
	out   uint32
	call  canon.Call
}

func (r *rig) prepare(iface, name string, args ...any) *call {
	f := sample.Table.Find(iface, name)
	if f == nil {
		r.t.Fatalf("the table has no %s of %s", name, iface)
	}
	k := &call{rig: r, fn: r.funcOf(f), stub: f.Stub}
	k.sig = k.fn.Lowered(f.Async)
	r.guest.Begin(&k.frame, k.flat[:])
	if len(args) > 0 {
		canontest.Lower(k.frame.Lower(k.fn.Args, k.sig.ArgsInMemory), args)
	}
	if k.sig.ResultInMemory {
		k.out = r.guest.Realloc(0, 0, k.fn.Result.Align, k.fn.Result.Size)
		k.flat[len(k.sig.Params)-1].Bits = uint64(k.out)
	}
	return k
}

// run calls the stub, and returns the trap that it unwinds with.
func (k *call) run() (err error) {
	defer canon.Recover(&err)
	k.call.Host, k.call.Task = k.rig.program, k.rig
	k.call.Begin(k.rig.guest, k.rig.guest.Mem, k.flat[:], k.fn, &k.sig)
	k.stub(&k.call)
	return nil
}

// result lifts the result.
func (k *call) result() any {
	switch {
	case k.fn.Result == nil:
		return nil
	case k.sig.ResultInMemory:
		return canontest.Lift(k.frame.LiftAt(k.fn.Result, k.out))
	}
	return canontest.Lift(k.frame.Lift(k.fn.Result, false))
}

func (r *rig) callOf(iface, name string, args ...any) (any, error) {
	k := r.prepare(iface, name, args...)
	if err := k.run(); err != nil {
		return nil, err
	}
	return k.result(), nil
}

// must is callOf that succeeds.
func (r *rig) must(iface, name string, args ...any) any {
	r.t.Helper()
	result, err := r.callOf(iface, name, args...)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return result
}

// Later implements canon.Task.
func (r *rig) Later(c *canon.Call, cancel func()) func(func(*canon.Call)) {
	r.later, r.cancel = c, cancel
	return func(finish func(*canon.Call)) {
		r.ended++
		r.finish = finish
	}
}

const (
	valuesOf = "sample:values/types@1.2.3"
	thingsOf = "sample:host/things@1.0.0"
	portsOf  = "sample:host/ports@1.0.0"
)

type contextKey struct{}

// Begin implements typed.Guest.
func (p *program) Begin(*canon.Call) context.Context {
	p.begun++
	if p.ctx == nil {
		p.ctx = context.WithValue(context.Background(), contextKey{}, p)
	}
	return p.ctx
}

// Sample implements sample.Guest.
func (p *program) Sample() *sample.Host { return p.host }
