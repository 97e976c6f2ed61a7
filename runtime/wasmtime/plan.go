package wasmtime

// #include <stdlib.h>
// #include "plan.h"
import "C"

import (
	"context"
	"fmt"
	"sync/atomic"
	"unsafe"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// componentPlan is a component's plan with the code of its modules, as C carries it out. It is made
// once per component, and any number of machines use it at a time. It is freed when the last of
// its users has closed it.
type componentPlan struct {
	data    *plan.Component
	engine  *wasmtimego.Engine
	pool    *memoryPool // nil if memories come from elsewhere
	takes   poolShare   // of the pool, for each machine
	cache   *modules
	parts   []*module      // as data has them
	numbers map[string]int // of parts, by the engine's names
	stores  []*C.plan_t
	memory  []unsafe.Pointer // of C, to be freed
	needs   needs            // of each machine
	slots   int              // of the engine, likewise
	users   atomic.Int32
}

// programPlan makes a plan like plan. many says that there will be many machines, one after the
// other: they take their memories from the pool, if there is one, and if what they need fits in.
func (ms *modules) programPlan(ctx context.Context, data *plan.Component, limit int64, many bool) (*componentPlan, error) {
	if !many || ms.pool.engine() == nil {
		return ms.plan(ctx, data, limit, false)
	}
	p, err := ms.plan(ctx, data, limit, true)
	if err != nil || p.takes.fits() {
		return p, err
	}
	p.close()
	return ms.plan(ctx, data, limit, false)
}

// plan makes a component's plan, with one user. limit is the memory that its guest may take, in
// bytes. Modules that are not compiled are compiled, where the engine has a compiler. pooled says
// that memories come from the pool, which is there.
func (ms *modules) plan(ctx context.Context, data *plan.Component, limit int64, pooled bool) (*componentPlan, error) {
	if err := plan.Check(data); err != nil {
		return nil, err
	}
	if err := checkParts(data.Modules, ms.maxModule()); err != nil {
		return nil, err
	}
	p := &componentPlan{data: data, engine: ms.engineFor(pooled), cache: ms, numbers: map[string]int{}}
	if pooled {
		p.pool = ms.pool
	}
	p.users.Store(1)
	for i, wasm := range data.Modules {
		w := wantedPart(wasm)
		w.pooled = pooled
		m, err := ms.get(ctx, w, limit)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("module %d of the component: %w", i, err)
		}
		p.parts = append(p.parts, m)
		p.numbers[w.digest] = i
	}
	if err := p.measure(limit); err != nil {
		p.close()
		return nil, err
	}
	for i := range data.Stores {
		p.stores = append(p.stores, p.store(&data.Stores[i]))
	}
	return p, nil
}

// share adds a user. The caller makes sure that the last user does not close the plan meanwhile.
func (p *componentPlan) share() *componentPlan {
	p.users.Add(1)
	return p
}

func (p *componentPlan) close() {
	if p.users.Add(-1) > 0 {
		return
	}
	for _, s := range p.stores {
		for _, f := range unsafe.Slice(s.functions, s.nfunctions) {
			C.wasm_functype_delete(f._type)
		}
	}
	for _, m := range p.memory {
		C.free(m)
	}
	p.stores, p.memory = nil, nil
	for _, m := range p.parts {
		p.cache.release(m)
	}
}

// What the engine holds for each machine besides its instances, in bytes, rounded up: for a store,
// and in it for each host function and item.
const (
	besideStore    = 24 << 10
	besideFunction = 512
	besideItem     = 64
)

// Bounds of what all stores of a plan have.
const (
	maxPlanMemories = 100   // each is mapped as another guest's would be
	maxPlanTables   = 1_000 // ours included
)

// measure adds up what a machine needs, and returns an error if that is too much.
func (p *componentPlan) measure(limit int64) error {
	for _, m := range p.parts {
		p.needs.module = plus(p.needs.module, m.needs.module)
	}
	memories, tables, heaps := 0, 0, 0
	for i := range p.data.Stores {
		s := &p.data.Stores[i]
		p.needs.instance = plus(p.needs.instance, besideStore+besideFunction*int64(len(s.Functions))+besideItem*int64(s.Items))
		heap := false
		for k := range s.Steps {
			if s.Steps[k].Op != plan.Instantiate {
				continue
			}
			m := p.parts[s.Steps[k].Module]
			p.needs.memories = plus(p.needs.memories, m.needs.memories)
			p.needs.tables = plus(p.needs.tables, m.needs.tables)
			p.needs.instance = plus(p.needs.instance, m.needs.instance)
			p.takes.instances++
			memories += len(m.info.Memories)
			tables += len(m.info.Tables)
			heap = heap || m.info.Heap
		}
		if heap {
			heaps++
		}
	}
	if memories > maxPlanMemories || tables > maxPlanTables {
		return fmt.Errorf("the component's core instances have %d memories and %d tables, and may have %d and %d", memories, tables, maxPlanMemories, maxPlanTables)
	}
	p.takes.memories, p.takes.tables, p.takes.heaps = memories, tables, heaps
	p.slots = slotsFor(memories, tables, heaps)
	return p.needs.check(limit)
}

// plus stops at a number that no limit reaches.
func plus(a, b int64) int64 {
	const most = 1 << 60
	return min(min(a, most)+min(b, most), most)
}

// calloc returns room for n of them, of C's memory.
func calloc[T any](p *componentPlan, n int) (*T, []T) {
	var one T
	at := C.calloc(C.size_t(max(n, 1)), C.size_t(unsafe.Sizeof(one))) // cgo panics if there is no memory
	p.memory = append(p.memory, at)
	return (*T)(at), unsafe.Slice((*T)(at), n)
}

// text copies a text to C's memory.
func (p *componentPlan) text(s string) *C.char {
	at, room := calloc[byte](p, len(s))
	copy(room, s)
	return (*C.char)(unsafe.Pointer(at))
}

// store translates what happens in a store. The plan was checked.
func (p *componentPlan) store(s *plan.Store) *C.plan_t {
	c, _ := calloc[C.plan_t](p, 1)
	c.start, c.start_len = startExportName, C.size_t(len(translate.StartExport))
	c.grow, c.grow_len = growExportName, C.size_t(len(translate.GrowExport))
	c.nitems, c.ninstances = C.uint32_t(s.Items), C.uint32_t(s.Instances)
	var callable []C.uint8_t
	c.callable, callable = calloc[C.uint8_t](p, s.Items)
	p.functions(c, s, callable)
	p.steps(c, s, callable)
	return c
}

func (p *componentPlan) functions(c *C.plan_t, s *plan.Store, callable []C.uint8_t) {
	c.nfunctions = C.uint32_t(len(s.Functions))
	var list []C.function_t
	c.functions, list = calloc[C.function_t](p, len(s.Functions))
	for i := range s.Functions {
		from, f := &s.Functions[i], &list[i]
		f.nparams, f.nresults, f.memory = C.uint32_t(len(from.Params)), C.uint32_t(len(from.Results)), C.NO_ITEM
		if from.Memory >= 0 {
			f.memory = C.uint32_t(from.Memory)
		}
		var kinds [2*plan.MaxValues + 1]C.uint8_t
		for k, t := range append(from.Params[:len(from.Params):len(from.Params)], from.Results...) {
			kinds[k] = C.uint8_t(t)
			if k < len(from.Params) && (t == types.I32 || t == types.F32Core) {
				f.narrow |= 1 << k
			}
		}
		f._type = C.functype(&kinds[0], C.size_t(f.nparams), C.size_t(f.nresults))
		callable[i] = C.uint8_t(1 + max(f.nparams, f.nresults))
	}
}

func (p *componentPlan) steps(c *C.plan_t, s *plan.Store, callable []C.uint8_t) {
	args := 0
	for i := range s.Steps {
		args += len(s.Steps[i].Args)
		c.most = max(c.most, C.uint32_t(len(s.Steps[i].Args)))
	}
	c.nsteps, c.nargs = C.uint32_t(len(s.Steps)), C.uint32_t(args)
	var steps []C.step_t
	var items []C.uint32_t
	c.steps, steps = calloc[C.step_t](p, len(s.Steps))
	c.args, items = calloc[C.uint32_t](p, args)
	instances := make([]*module, s.Instances)
	args = 0
	for i := range s.Steps {
		from, to := &s.Steps[i], &steps[i]
		to.instance = C.uint32_t(from.Instance)
		switch from.Op {
		case plan.Instantiate:
			m := p.parts[from.Module]
			instances[from.Instance] = m
			p.instantiate(c, to, m)
			to.module_number, to.args, to.nargs = C.uint32_t(from.Module), C.uint32_t(args), C.uint32_t(len(from.Args))
			for _, arg := range from.Args {
				items[args] = C.uint32_t(arg)
				args++
			}
		case plan.Export:
			to.op, to.item = C.STEP_EXPORT, C.uint32_t(from.Item)
			to.name, to.len = p.text(from.Name), C.size_t(len(from.Name))
			callable[from.Item] = callableAs(instances[from.Instance].info, from.Name)
		case plan.Stop:
			to.op = C.STEP_STOP
		}
	}
}

// instantiate translates a step, and makes room for what the instance has in the store.
func (p *componentPlan) instantiate(c *C.plan_t, to *C.step_t, m *module) {
	to.op = C.STEP_INSTANTIATE
	to.module = nativeModule(m.native)
	to.memories = C.int64_t(m.needs.memories)
	to.grows, to.starts = C.bool(m.info.Grows), C.bool(m.info.Starts)
	c.bounds.instances++
	c.bounds.memories += C.size_t(len(m.info.Memories))
	c.bounds.tables += C.size_t(len(m.info.Tables))
	if m.info.Grows {
		c.bounds.tables++ // ours
	}
	c.bounds.elements = maxTableElements
}

// callableAs returns what C knows of an export: how many values it has as a function and 1, or 0 if
// the host cannot call it.
func callableAs(info *translate.Info, name string) C.uint8_t {
	f, ok := info.Callable(name)
	switch {
	case !ok || f.Values > plan.MaxValues:
		return 0
	case f.Realloc:
		return C.uint8_t(1+f.Values) | C.REALLOC
	}
	return C.uint8_t(1 + f.Values)
}

// storeFrames describes frames of a store.
type storeFrames struct {
	plan  *componentPlan
	store int
}

// frame implements frameNames.
func (s storeFrames) frame(name string, function uint32, offset uint64) string {
	component := fmt.Sprintf("component %d", s.store)
	if own := s.plan.data.Stores[s.store].Name; own != "" {
		component = "component " + visible.Name([]byte(own))
	}
	number, ok := s.plan.numbers[name]
	if !ok {
		return fmt.Sprintf("? (%s, function %d)", component, function)
	}
	m := s.plan.parts[number]
	if function >= m.info.Functions {
		return "" // a function that the translation has added
	}
	part := fmt.Sprintf("module %d", number)
	if m.info.Module != "" {
		part = "module " + m.info.Module
	}
	return fmt.Sprintf("%s (%s, %s, function %d%s)", m.functionName(function), component, part, function, m.place(offset))
}
