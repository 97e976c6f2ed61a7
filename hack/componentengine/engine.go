// Package componentengine carries out plans of components with wasmtime-go alone. It is slow, has
// neither limits nor a way to interrupt a guest, and serves tests only.
package componentengine

import (
	"errors"
	"fmt"
	"sync"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Engine has the compiled modules of a plan. It is an instance.Engine.
type Engine struct {
	plan    *plan.Component
	engine  *wasmtime.Engine
	modules []*wasmtime.Module
}

var shared = sync.OnceValue(func() *wasmtime.Engine {
	config := wasmtime.NewConfig()
	config.SetWasmMultiMemory(true)
	config.SetWasmTailCall(true)
	config.SetWasmFunctionReferences(true)
	config.SetMaxWasmStack(256 << 10)
	config.SetCraneliftOptLevel(wasmtime.OptLevelNone)
	return wasmtime.NewEngineWithConfig(config)
})

// New compiles the modules of a plan.
func New(p *plan.Component) (*Engine, error) {
	e := &Engine{plan: p, engine: shared()}
	for i, bytes := range p.Modules {
		m, err := wasmtime.NewModule(e.engine, bytes)
		if err != nil {
			return nil, fmt.Errorf("compiling core module %d: %w", i, err)
		}
		e.modules = append(e.modules, m)
	}
	return e, nil
}

type store struct {
	engine    *Engine
	plan      *plan.Store
	store     *wasmtime.Store
	host      instance.Calls
	items     []wasmtime.AsExtern
	instances []*wasmtime.Instance
	step      int
	fault     error // what a host function returned, for the call that it ends
}

// Go runs f on another goroutine.
func (*Engine) Go(f func()) error {
	go f()
	return nil
}

// NewStore makes a store with its host functions.
func (e *Engine) NewStore(number int, host instance.Calls) (instance.Store, error) {
	p := &e.plan.Stores[number]
	s := &store{engine: e, plan: p, store: wasmtime.NewStore(e.engine), host: host}
	s.items = make([]wasmtime.AsExtern, p.Items)
	s.instances = make([]*wasmtime.Instance, p.Instances)
	for i, f := range p.Functions {
		s.items[i] = wasmtime.NewFunc(s.store, wasmtime.NewFuncType(kinds(f.Params), kinds(f.Results)), s.hostFunction(i, f))
	}
	return s, nil
}

func kinds(core []types.Core) (all []*wasmtime.ValType) {
	for _, c := range core {
		all = append(all, wasmtime.NewValType([...]wasmtime.ValKind{
			types.I32: wasmtime.KindI32, types.I64: wasmtime.KindI64,
			types.F32Core: wasmtime.KindF32, types.F64Core: wasmtime.KindF64,
		}[c]))
	}
	return all
}

func (s *store) hostFunction(i int, f plan.Function) func(*wasmtime.Caller, []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
	return func(_ *wasmtime.Caller, args []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
		var values [plan.MaxValues]plan.Value
		for i, a := range args {
			values[i].Bits = bits(a)
		}
		var memory []byte
		if f.Memory >= 0 {
			memory = s.Memory(f.Memory)
		}
		if err := s.host.Call(int32(i), &values, memory); err != nil {
			s.fault = err
			return nil, wasmtime.NewTrap("host function failed")
		}
		results := make([]wasmtime.Val, len(f.Results))
		for i, r := range f.Results {
			results[i] = value(r, values[i].Bits)
		}
		return results, nil
	}
}

// failed returns the error of a host function rather than the trap that it became.
func (s *store) failed(err error) error {
	if fault := s.fault; fault != nil && err != nil {
		s.fault = nil
		return fault
	}
	return err
}

var errNoExport = errors.New("the core instance has no such export")

func (s *store) Run() error {
	for s.step < len(s.plan.Steps) {
		step := &s.plan.Steps[s.step]
		s.step++
		switch step.Op {
		case plan.Stop:
			return nil
		case plan.Instantiate:
			args := make([]wasmtime.AsExtern, len(step.Args))
			for i, a := range step.Args {
				args[i] = s.items[a]
			}
			instance, err := wasmtime.NewInstance(s.store, s.engine.modules[step.Module], args)
			if err != nil {
				return s.failed(err)
			}
			s.instances[step.Instance] = instance
		case plan.Export:
			x := s.instances[step.Instance].GetExport(s.store, step.Name)
			if x == nil {
				return fmt.Errorf("%w: %q", errNoExport, step.Name)
			}
			s.items[step.Item] = x
		}
	}
	return nil
}

func (s *store) function(item int32) *wasmtime.Func {
	if f, ok := s.items[item].(*wasmtime.Func); ok {
		return f
	}
	return s.items[item].(*wasmtime.Extern).Func()
}

func (s *store) Call(item int32, values []plan.Value) error {
	f := s.function(item)
	t := f.Type(s.store)
	params := t.Params()
	args := make([]any, len(params))
	for i, p := range params {
		args[i] = value(core(p.Kind()), values[i].Bits)
	}
	result, err := f.Call(s.store, args...)
	if err != nil {
		return s.failed(err)
	}
	switch r := result.(type) {
	case nil:
	case int32:
		values[0].Bits = uint64(uint32(r))
	case int64:
		values[0].Bits = uint64(r)
	case float32:
		values[0].Bits = bits(wasmtime.ValF32(r))
	case float64:
		values[0].Bits = bits(wasmtime.ValF64(r))
	case []wasmtime.Val:
		for i, v := range r {
			values[i].Bits = bits(v)
		}
	}
	return nil
}

func (s *store) Memory(item int32) []byte {
	return s.items[item].(*wasmtime.Extern).Memory().UnsafeData(s.store)
}

func (s *store) Realloc(function, memory int32, old, oldSize, align, size uint32) (uint32, []byte, error) {
	values := []plan.Value{{Bits: uint64(old)}, {Bits: uint64(oldSize)}, {Bits: uint64(align)}, {Bits: uint64(size)}}
	if err := s.Call(function, values); err != nil {
		return 0, nil, err
	}
	return uint32(values[0].Bits), s.Memory(memory), nil
}

func (s *store) Close() { s.store.Close() }
