package command

import (
	"context"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/world"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Program is a component that is a command, an HTTP handler, or both.
type Program struct {
	program *instance.Program
	run     *link.Func // nil if it is no command
	handle  *link.Func // nil if it is no handler
	wasi    int        // of handle: 2 or 3
}

// Load makes a Program of a component's file. If the component exports run, or handle, of WASI 0.2
// and of 0.3, that of 0.3 is taken. The Program keeps no part of the file but the core modules of
// its Plan.
func Load(file []byte) (*Program, error) {
	c, err := binary.Decode(file)
	if err != nil {
		return nil, err
	}
	if err := validate.Validate(c); err != nil {
		return nil, err
	}
	w := world.Of(c)
	if err := w.Check(); err != nil {
		return nil, err
	}
	linked, err := link.Link(c)
	if err != nil {
		return nil, fmt.Errorf("linking the component: %w", err)
	}
	p := &Program{}
	if err := p.find(linked.Exports, w); err != nil {
		return nil, err
	}
	if p.program, err = instance.Bind(linked, functions); err != nil {
		return nil, err
	}
	linked.Exports = nil // they may keep all of the component's definitions
	return p, nil
}

// find finds the functions that the node calls.
func (p *Program) find(exports *link.Instance, w world.World) error {
	if w.Run.Name != "" {
		if p.run = runOf(exports, w.Run); p.run == nil {
			return fmt.Errorf("the component exports %s, and the function run in it is not that of WASI", w.Run.Name)
		}
	}
	if w.Handle.Name == "" {
		return nil
	}
	handle, err := handleOf(exports, w.Handle)
	if err != nil {
		return err
	}
	p.handle, p.wasi = handle, w.Handle.WASI
	return nil
}

// IsCommand reports whether the component is a command.
func (p *Program) IsCommand() bool { return p.run != nil }

// Handles is the minor version of WASI whose HTTP handler the component is, 2 or 3, or 0.
func (p *Program) Handles() int { return p.wasi }

// Overlaps reports whether several requests can be under way in an instance without one that keeps
// another: in WASI 0.3, if the handler waits without a stack, by a callback. There is one stack in
// an instance of a component, on which only the call that waits last can go on.
func (p *Program) Overlaps() bool {
	return p.wasi == 3 && p.handle.Options.Async && p.handle.Options.Callback != link.None
}

// runOf returns the function that a command exports, or nil if it has another type.
func runOf(exports *link.Instance, e world.Entry) *link.Func {
	i := exports.Instance(e.Name)
	if i == nil {
		return nil
	}
	f := i.Func("run")
	if f == nil || len(f.Type.Params) > 0 || f.Type.Async != (e.WASI == 3) {
		return nil
	}
	r := f.Type.Result
	if r == nil || r.Kind != types.Result || r.Elems[0] != nil || r.Elems[1] != nil {
		return nil
	}
	return f
}

// Work is how much was made of the component's definitions: see link.Component.
func (p *Program) Work() int { return p.program.Linked.Work }

// Plan is what the engine carries out.
func (p *Program) Plan() *plan.Component { return p.program.Linked.Plan }

// Run runs the command in a new instance, with the stores of an engine, and returns when all of it
// has ended. It calls started when the instance is there. The error is a *wasi.ExitError if the
// command chose an exit code other than 0, or what ended it.
//
// Run is called once for each Host, on a goroutine that may use the engine's stores. When ctx ends,
// the engine must be interrupted, too.
func (p *Program) Run(ctx context.Context, engine instance.Engine, h *Host, started func()) error {
	x, err := instance.New(p.program, engine, h)
	if err != nil {
		return err
	}
	defer x.Close()
	started()
	failed := false
	if err := x.Call(ctx, p.run, nil, func(result canon.Value) { failed = result.Case() == 1 }); err != nil {
		return err
	}
	if err := x.Settle(ctx); err != nil {
		return err
	}
	if failed {
		return &wasi.ExitError{Code: 1}
	}
	return nil
}
