package plan

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Bounds of a plan. Real components have far less: Python's have 40 core instances in one or two
// stores, and 10,000 imports and exports.
const (
	maxStores    = 1_000
	maxInstances = 1_000  // of all stores
	maxFunctions = 20_000 // likewise
	// MaxItems is of all stores, and of imports. Each item has 32 bytes in each instance.
	MaxItems = 200_000
	maxSteps = 400_000 // likewise
	maxNames = 16 << 20
)

// Error says that a plan is not one. Link makes none such, whatever the component.
type Error struct{ what string }

func (e *Error) Error() string { return "internal error: the plan of the component: " + e.what }

func bad(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// check adds up what a plan has while it is checked.
type check struct {
	plan                                                *Component
	instances, functions, items, steps, args, nameBytes int
}

// Check returns an error for a plan that has too much of something, or that cannot be carried out:
// each number is in range, and what a step needs was made by an earlier one.
func Check(p *Component) error {
	c := check{plan: p}
	if len(p.Stores) > maxStores {
		return fmt.Errorf("the component has %d instances with core modules, and may have %d", len(p.Stores), maxStores)
	}
	for i := range p.Stores {
		s := &p.Stores[i]
		if s.Items < 0 || s.Instances < 0 || s.Items > MaxItems || s.Instances > maxInstances {
			return bad("store %d has %d items and %d instances", i, s.Items, s.Instances)
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
func (c *check) add(s *Store) error {
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
		{"core instances", c.instances, maxInstances},
		{"core functions that the host answers", c.functions, maxFunctions},
		{"functions, exports and imports of core instances", max(c.items, c.args), MaxItems},
		{"steps to make an instance", c.steps, maxSteps},
		{"bytes of names", c.nameBytes, maxNames},
	} {
		if n.has > n.most {
			return fmt.Errorf("the component has %d %s, and may have %d", n.has, n.what, n.most)
		}
	}
	return nil
}

// store plays the steps of a store.
func (c *check) store(s *Store) error {
	set, made := make([]bool, s.Items), make([]bool, s.Instances)
	if len(s.Functions) > s.Items {
		return bad("%d functions among %d items", len(s.Functions), s.Items)
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
		case step.Op == Stop:
		case step.Op > Stop:
			return bad("step %d is of kind %d", i, step.Op)
		case !known:
			return bad("step %d has instance %d of %d", i, step.Instance, s.Instances)
		case step.Op == Instantiate:
			if err := c.instantiate(step, set); err != nil {
				return fmt.Errorf("%w (step %d)", err, i)
			}
			if made[step.Instance] {
				return bad("step %d makes instance %d again", i, step.Instance)
			}
			made[step.Instance] = true
		default:
			if !made[step.Instance] {
				return bad("step %d takes an export of instance %d, which is not made", i, step.Instance)
			}
			if int(step.Item) < 0 || int(step.Item) >= s.Items || set[step.Item] {
				return bad("step %d makes item %d of %d, or makes it again", i, step.Item, s.Items)
			}
			set[step.Item] = true
		}
	}
	return nil
}

func (c *check) instantiate(step *Step, set []bool) error {
	if int(step.Module) < 0 || int(step.Module) >= len(c.plan.Modules) {
		return bad("module %d of %d", step.Module, len(c.plan.Modules))
	}
	for _, arg := range step.Args {
		if int(arg) < 0 || int(arg) >= len(set) || !set[arg] {
			return bad("item %d is imported, and not made", arg)
		}
	}
	return nil
}

func checkFunction(f *Function, s *Store) error {
	if len(f.Params) > MaxValues || len(f.Results) > MaxValues {
		return bad("a function has %d parameters and %d results", len(f.Params), len(f.Results))
	}
	for _, list := range [][]types.Core{f.Params, f.Results} {
		for _, t := range list {
			if t > types.F64Core {
				return bad("a function has values of kind %d", t)
			}
		}
	}
	if f.Memory != -1 && (int(f.Memory) < len(s.Functions) || int(f.Memory) >= s.Items) {
		return bad("a function gets item %d as its memory", f.Memory)
	}
	return nil
}

// order checks the turns of the stores.
func (c *check) order() error {
	for _, i := range c.plan.Order {
		if int(i) < 0 || int(i) >= len(c.plan.Stores) {
			return bad("store %d of %d has a turn", i, len(c.plan.Stores))
		}
	}
	return nil
}
