package command

import (
	"context"
	"errors"
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

// Program is a component that is a command.
type Program struct {
	program *instance.Program
	run     *link.Func
}

// errHandler is the error of a component that is only an HTTP handler.
var errHandler = errors.New("the component is an HTTP handler, and this version runs only commands (wasi:cli/run)")

// Load makes a Program of a component's file. If the component exports run of WASI 0.2 and of 0.3,
// that of 0.3 is taken. The Program keeps no part of the file but the core modules of its Plan.
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
	if w.Run.Name == "" {
		return nil, errHandler
	}
	linked, err := link.Link(c)
	if err != nil {
		return nil, fmt.Errorf("linking the component: %w", err)
	}
	run := runOf(linked.Exports, w.Run)
	if run == nil {
		return nil, fmt.Errorf("the component exports %s, and the function run in it is not that of WASI", w.Run.Name)
	}
	program, err := instance.Bind(linked, functions)
	if err != nil {
		return nil, err
	}
	return &Program{program: program, run: run}, nil
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
