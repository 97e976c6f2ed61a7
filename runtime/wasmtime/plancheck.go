package wasmtime

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Bounds of a plan. Real components have far less: Python's have 40 core instances in one or two
// stores, and 10,000 imports and exports.
const (
	maxPlanStores    = 1_000
	maxPlanInstances = 1_000   // of all stores
	maxPlanFunctions = 20_000  // likewise
	maxPlanItems     = 200_000 // likewise, and imports; each has 32 bytes in each instance of the component
	maxPlanSteps     = 400_000 // likewise
	maxPlanNames     = 16 << 20
	maxPlanMemories  = 100   // each is mapped as another guest's would be
	maxPlanTables    = 1_000 // ours included
)

// planError says that a plan is not one. Link makes none such, whatever the component.
type planError struct{ what string }

func (e *planError) Error() string { return "internal error: the plan of the component: " + e.what }

func badPlan(format string, args ...any) error { return &planError{fmt.Sprintf(format, args...)} }

// planCheck adds up what a plan has while it is checked.
type planCheck struct {
	plan                                                *plan.Component
	instances, functions, items, steps, args, nameBytes int
}

// checkPlan returns an error for a plan that has too much of something, or that cannot be carried
// out: each number is in range, and what a step needs was made by an earlier one.
func checkPlan(p *plan.Component) error {
	c := planCheck{plan: p}
	if len(p.Stores) > maxPlanStores {
		return fmt.Errorf("the component has %d instances with core modules, and may have %d", len(p.Stores), maxPlanStores)
	}
	for i := range p.Stores {
		s := &p.Stores[i]
		if s.Items < 0 || s.Instances < 0 || s.Items > maxPlanItems || s.Instances > maxPlanInstances {
			return badPlan("store %d has %d items and %d instances", i, s.Items, s.Instances)
		}
		if err := c.add(s); err != nil {
			return err
		}
		if err := c.store(s); err != nil {
			return fmt.Errorf("%w (store %d)", err, i)
		}
	}
	return c.order()
}

// add counts what a store has.
func (c *planCheck) add(s *plan.Store) error {
	c.instances += s.Instances
	c.functions += len(s.Functions)
	c.items += s.Items
	c.steps += len(s.Steps)
	for i := range s.Steps {
		c.args += len(s.Steps[i].Args)
		c.nameBytes += len(s.Steps[i].Name)
	}
	for _, n := range []struct {
		what      string
		has, most int
	}{
		{"core instances", c.instances, maxPlanInstances},
		{"core functions that the host answers", c.functions, maxPlanFunctions},
		{"functions, exports and imports of core instances", max(c.items, c.args), maxPlanItems},
		{"steps to make an instance", c.steps, maxPlanSteps},
		{"bytes of names", c.nameBytes, maxPlanNames},
	} {
		if n.has > n.most {
			return fmt.Errorf("the component has %d %s, and may have %d", n.has, n.what, n.most)
		}
	}
	return nil
}

// store plays the steps of a store.
func (c *planCheck) store(s *plan.Store) error {
	set, made := make([]bool, s.Items), make([]bool, s.Instances)
	if len(s.Functions) > s.Items {
		return badPlan("%d functions among %d items", len(s.Functions), s.Items)
	}
	for i := range s.Functions {
		if err := checkFunction(&s.Functions[i], s); err != nil {
			return err
		}
		set[i] = true
	}
	for i := range s.Steps {
		step := &s.Steps[i]
		known := int(step.Instance) >= 0 && int(step.Instance) < s.Instances
		switch {
		case step.Op == plan.Stop:
		case step.Op > plan.Stop:
			return badPlan("step %d is of kind %d", i, step.Op)
		case !known:
			return badPlan("step %d has instance %d of %d", i, step.Instance, s.Instances)
		case step.Op == plan.Instantiate:
			if err := c.instantiate(step, set); err != nil {
				return fmt.Errorf("%w (step %d)", err, i)
			}
			if made[step.Instance] {
				return badPlan("step %d makes instance %d again", i, step.Instance)
			}
			made[step.Instance] = true
		default:
			if !made[step.Instance] {
				return badPlan("step %d takes an export of instance %d, which is not made", i, step.Instance)
			}
			if int(step.Item) < 0 || int(step.Item) >= s.Items || set[step.Item] {
				return badPlan("step %d makes item %d of %d, or makes it again", i, step.Item, s.Items)
			}
			set[step.Item] = true
		}
	}
	return nil
}

func (c *planCheck) instantiate(step *plan.Step, set []bool) error {
	if int(step.Module) < 0 || int(step.Module) >= len(c.plan.Modules) {
		return badPlan("module %d of %d", step.Module, len(c.plan.Modules))
	}
	for _, arg := range step.Args {
		if int(arg) < 0 || int(arg) >= len(set) || !set[arg] {
			return badPlan("item %d is imported, and not made", arg)
		}
	}
	return nil
}

func checkFunction(f *plan.Function, s *plan.Store) error {
	if len(f.Params) > plan.MaxValues || len(f.Results) > plan.MaxValues {
		return badPlan("a function has %d parameters and %d results", len(f.Params), len(f.Results))
	}
	for _, list := range [][]types.Core{f.Params, f.Results} {
		for _, t := range list {
			if t > types.F64Core {
				return badPlan("a function has values of kind %d", t)
			}
		}
	}
	if f.Memory != -1 && (int(f.Memory) < len(s.Functions) || int(f.Memory) >= s.Items) {
		return badPlan("a function gets item %d as its memory", f.Memory)
	}
	return nil
}

// order checks the turns of the stores.
func (c *planCheck) order() error {
	for _, i := range c.plan.Order {
		if int(i) < 0 || int(i) >= len(c.plan.Stores) {
			return badPlan("store %d of %d has a turn", i, len(c.plan.Stores))
		}
	}
	return nil
}
