package link

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Link links a component that has been validated.
func Link(c *binary.Component) (*Component, error) { return linkWith(c, false) }

// LinkTolerantly links a component that Link refuses because it needs threads of its own: their
// built-ins trap when they are called. It is for tests of what else such a component does.
func LinkTolerantly(c *binary.Component) (*Component, error) { return linkWith(c, true) }

func linkWith(c *binary.Component, tolerant bool) (*Component, error) {
	l := &linker{
		tolerant:   tolerant,
		out:        &Component{Plan: &plan.Component{}},
		modules:    map[*binary.CoreModule]*module{},
		nameTables: map[*binary.Component]*binary.NameTable{},
		resources:  map[string]*types.Resource{},
	}
	exports, err := l.instantiate(&component{definition: c}, "", nil, None)
	if err != nil {
		return nil, fmt.Errorf("linking the component: %w", err)
	}
	l.out.Exports, l.out.Work = exports, l.work
	return l.out, nil
}

type linker struct {
	tolerant   bool
	out        *Component
	modules    map[*binary.CoreModule]*module
	resources  map[string]*types.Resource // of the host
	nameTables map[*binary.Component]*binary.NameTable
	work       int
	steps      int
	functions  int
}

// component is an item: a component, and where it was defined.
type component struct {
	definition *binary.Component
	scope      *frame
}

// module is an item: a core module that the plan may instantiate.
type module struct {
	number  int32
	imports []binary.CoreImport
}

// frame is a component instance, or an instance type of the host, as its definitions are evaluated.
type frame struct {
	*linker
	outer    *frame
	instance int32
	store    int32
	name     string            // of the component instance, for backtraces
	names    *binary.NameTable // of the component's items, likewise
	host     string            // of an instance type of the host: the interface's name
	args     map[string]any    // nil for the component itself, which the host gives what it imports
	exports  *Instance
	core     [binary.SortCoreTag + 1][]int32 // items
	modules  []*module
	cores    []*coreInstance
	funcs    []*Func
	types    []any // *types.Type, *types.Func, *types.Resource or *scoped
	comps    []*component
	insts    []*Instance
}

// coreInstance is a core instance: a module's, whose exports become items as they are taken, or a
// bundle of items.
type coreInstance struct {
	number int32
	bundle bool
	items  map[string]int32
}

// namesOf returns the names in a component, which are read once.
func (l *linker) namesOf(c *binary.Component) *binary.NameTable {
	t, ok := l.nameTables[c]
	if !ok {
		t = binary.Names(c)
		l.nameTables[c] = t
	}
	return t
}

// spend counts what linking does.
func (l *linker) spend(n int) error {
	if l.work += n; l.work > maxWork {
		return tooMany("evaluated definitions", maxWork)
	}
	return nil
}

// instantiate evaluates a component to an instance.
func (l *linker) instantiate(c *component, name string, args map[string]any, parent int32) (*Instance, error) {
	if len(l.out.Instances) == maxInstances {
		return nil, tooMany("component instances", maxInstances)
	}
	f := &frame{
		linker: l, outer: c.scope, args: args, exports: newInstance(),
		instance: int32(len(l.out.Instances)), store: None,
		names: l.namesOf(c.definition),
	}
	if f.name = name; name == "" {
		f.name = f.names.Component
	}
	l.out.Instances = append(l.out.Instances, ComponentInstance{Parent: parent, Store: None})
	if err := f.makeStore(c.definition); err != nil {
		return nil, err
	}
	for _, d := range c.definition.Definitions {
		if err := l.spend(1); err != nil {
			return nil, err
		}
		if err := f.define(d); err != nil {
			return nil, err
		}
	}
	return f.exports, nil
}

// makeStore gives the component instance a store if it has host functions or core instances. The
// host functions are the first items, so they are counted first.
func (f *frame) makeStore(c *binary.Component) error {
	functions, instances := 0, 0
	for _, d := range c.Definitions {
		switch d.(type) {
		case *binary.Lower, *binary.Builtin:
			functions++
		case *binary.CoreInstantiate:
			instances++
		}
	}
	if functions+instances == 0 {
		return nil
	}
	if f.functions += functions; f.functions > maxFunctions {
		return tooMany("host functions", maxFunctions)
	}
	if len(f.out.Plan.Stores) == maxStores {
		return tooMany("component instances with core modules", maxStores)
	}
	f.store = int32(len(f.out.Plan.Stores))
	f.out.Plan.Stores = append(f.out.Plan.Stores, plan.Store{Name: f.name, Items: functions})
	f.out.Instances[f.instance].Store = f.store
	return nil
}

// step adds a step. Where the one before was of another store, that one stops.
func (f *frame) step(s plan.Step) error {
	if f.store == None {
		return errNoStore
	}
	if f.steps++; f.steps > maxSteps {
		return tooMany("steps", maxSteps)
	}
	p := f.out.Plan
	if n := len(p.Order); n == 0 || p.Order[n-1] != f.store {
		if n > 0 {
			before := &p.Stores[p.Order[n-1]]
			before.Steps = append(before.Steps, plan.Step{Op: plan.Stop})
		}
		p.Order = append(p.Order, f.store)
	}
	store := &p.Stores[f.store]
	store.Steps = append(store.Steps, s)
	return nil
}

func (f *frame) define(d binary.Definition) error {
	switch d := d.(type) {
	case *binary.CoreModule:
		return f.defineModule(d)
	case *binary.Component:
		f.comps = append(f.comps, &component{d, f})
	case *binary.CoreTypeDef:
		// Validation compared the core types; nothing here needs them.
	case *binary.CoreInstantiate:
		return f.at(d.At, f.coreInstantiate(d))
	case *binary.CoreBundle:
		return f.at(d.At, f.coreBundle(d))
	case *binary.Instantiate:
		return f.at(d.At, f.defineInstance(d))
	case *binary.Bundle:
		return f.at(d.At, f.bundle(d))
	case *binary.AliasExport:
		return f.at(d.At, f.aliasExport(d))
	case *binary.AliasCoreExport:
		return f.at(d.At, f.aliasCoreExport(d))
	case *binary.AliasOuter:
		return f.at(d.At, f.aliasOuter(d))
	case *binary.TypeDef:
		t, err := f.typeOf(d.Type)
		f.types = append(f.types, t)
		return f.at(d.At, err)
	case *binary.Import:
		return f.at(d.At, f.importItem(d))
	case *binary.Export:
		item, err := f.item(d.Ref)
		if err != nil {
			return f.at(d.At, err)
		}
		f.exports.add(d.Name.Name, item)
		return f.at(d.At, f.add(item))
	case *binary.Lift:
		return f.at(d.At, f.lift(d))
	case *binary.Lower:
		return f.at(d.At, f.lower(d))
	case *binary.Builtin:
		return f.at(d.At, f.builtin(d))
	}
	return nil
}

// at tells where in the file an error is.
func (f *frame) at(offset int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("at offset %#x: %w", offset, err)
}
