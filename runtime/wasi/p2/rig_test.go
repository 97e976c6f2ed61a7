package p2_test

import (
	"context"
	"errors"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// rig is a guest without an engine: a memory, handles, and calls of the table's functions with core
// values.
type rig struct {
	guest     *canontest.Guest
	host      *p2.Host
	wasi      *wasi.Guest
	resources map[string]*types.Resource
	functions []function
	call      canon.Call
	flat      [plan.MaxValues]plan.Value
}

type function struct {
	name string
	stub canon.Stub
	of   *types.Func
	sig  types.Signature
}

func newRig(t testing.TB, ctx context.Context, cfg wasi.Config) *rig {
	t.Helper()
	cfg.Confined = true
	g, err := wasi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		guest: canontest.NewGuest(1<<17, binary.UTF8), wasi: g, host: p2.New(ctx, g), resources: map[string]*types.Resource{},
	}
	for _, f := range bindings.Table.Functions {
		if f.Stub == nil {
			continue
		}
		of := types.Func{Result: r.typeOf(f.Result)}
		for i, p := range f.Params {
			of.Params = append(of.Params, types.Param{Label: f.Labels[i], Type: r.typeOf(p)})
		}
		fn := types.NewFunc(of)
		r.functions = append(r.functions, function{f.Interface + "#" + f.Name, f.Stub, fn, fn.Lowered(false)})
	}
	return r
}

func (r *rig) typeOf(index int32) *types.Type {
	if index == typed.Missing {
		return nil
	}
	d := bindings.Table.Types[index]
	if d.Kind <= types.ErrorContext {
		return types.Prim(d.Kind)
	}
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
	return types.New(t)
}

// run calls a function with the core values in flat. The error ends the guest.
func (r *rig) run(f *function) (err error) {
	defer canon.Recover(&err)
	r.call.Host = r.host
	r.call.Begin(r.guest, r.guest.Mem, r.flat[:], f.of, &f.sig)
	f.stub(&r.call)
	for _, e := range r.guest.Table {
		if e != nil {
			e.Lent = 0
		}
	}
	return nil
}

// find returns a function, or nil if it has no name.
func (r *rig) find(t testing.TB, name string) *function {
	t.Helper()
	if name == "" {
		return nil
	}
	for i := range r.functions {
		if r.functions[i].name == name {
			return &r.functions[i]
		}
	}
	t.Fatalf("the table has no %s", name)
	return nil
}

// drop drops a handle of the guest, if there is one.
func (r *rig) drop(i int) {
	if i >= len(r.guest.Table) || r.guest.Table[i] == nil {
		return
	}
	e := r.guest.Table[i]
	r.guest.Table[i] = nil
	r.guest.Free = append(r.guest.Free, uint32(i))
	e.Handle.Host.(typed.Resource).Drop()
}

func (r *rig) close() error {
	return errors.Join(r.host.Close(), r.wasi.CloseInitial(), r.wasi.Close())
}
