package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
)

// component is a component instance.
type component struct {
	x         *Instance
	parent    *component
	depth     int // how many ancestors it has
	store     Store
	functions []link.Function

	handles      table[any] // *resource, *subtask, *end, *waitableSet or *errorContext
	threads      table[*thread]
	mayEnter     bool
	mayLeave     bool
	backpressure int
	// waitingToEnter is how many tasks wait because of backpressure.
	waitingToEnter int
	exclusive      *thread

	// inside is the fiber that has frames in the store, or nil.
	inside *fiber
	// internal is the task of what the guest runs that no one called: of its start functions, and of
	// each realloc, whose thread is allocating.
	internal   task
	allocating thread
}

// mayEnterFrom reports whether a call from another component instance, or from the host (nil), may
// enter: whether none of those that it would enter is entered.
func (c *component) mayEnterFrom(caller *component) bool {
	top := common(c, caller)
	for i := c; i != top; i = i.parent {
		if !i.mayEnter {
			return false
		}
	}
	return true
}

func (c *component) enterFrom(caller *component) { c.setMayEnter(caller, false) }
func (c *component) leaveTo(caller *component)   { c.setMayEnter(caller, true) }

func (c *component) setMayEnter(caller *component, may bool) {
	top := common(c, caller)
	for i := c; i != top; i = i.parent {
		i.mayEnter = may
	}
}

// mustNotRelate traps if one of two component instances is within the other, or both are the same:
// calls between these are left to a later version of the specification, whose tests have them trap.
func (c *component) mustNotRelate(to *component) {
	if top := common(to, c); top == c || top == to {
		canon.Trapf(cannotEnter)
	}
}

// common returns the nearest of what both are or have as an ancestor, or nil.
func common(a, b *component) *component {
	if b == nil {
		return nil
	}
	for a != b {
		if a.depth >= b.depth {
			a = a.parent
		} else {
			b = b.parent
		}
		if a == nil || b == nil {
			return nil
		}
	}
	return a
}

func (c *component) mustLeave() {
	if !c.mayLeave {
		canon.Trapf("the guest calls the host while it may not leave the component: in realloc or post-return")
	}
}

// call calls a core function of the component instance. If another fiber has frames in the store,
// the call runs there: a store has one stack.
func (c *component) call(item int32, values []plan.Value) {
	if c.inside == nil || c.inside == c.x.fiber {
		c.callHere(item, values)
		return
	}
	c.x.delegate(c.inside, func() { c.callHere(item, values) })
}

func (c *component) callHere(item int32, values []plan.Value) {
	outer := c.enterStore()
	err := c.store.Call(item, values)
	c.leaveStore(outer)
	if err != nil {
		c.x.failed(err)
	}
}

func (c *component) enterStore() (outer *fiber) {
	f := c.x.fiber
	if f.depth == maxDepth {
		canon.Trapf("more than %d calls of components are nested", maxDepth)
	}
	f.depth++
	outer, c.inside = c.inside, f
	return outer
}

func (c *component) leaveStore(outer *fiber) {
	c.x.fiber.depth--
	c.inside = outer
}

// reallocate calls a realloc, as a call of its own: with a thread of its own, and without the
// right to leave the component.
func (c *component) reallocate(o *link.Options, old, oldSize, align, size uint32) (at uint32) {
	if c.inside == nil || c.inside == c.x.fiber {
		return c.reallocateHere(o, old, oldSize, align, size)
	}
	c.x.delegate(c.inside, func() { at = c.reallocateHere(o, old, oldSize, align, size) })
	return at
}

func (c *component) reallocateHere(o *link.Options, old, oldSize, align, size uint32) uint32 {
	if o.Realloc == link.None || o.Memory == link.None {
		canon.Trapf("the component has no realloc for a value that it is given")
	}
	before := c.x.current
	c.allocating.storage = [2]uint64{}
	c.x.current = &c.allocating
	outer := c.enterStore()
	c.mayLeave = false
	at, _, err := c.store.Realloc(o.Realloc, o.Memory, old, oldSize, align, size)
	c.mayLeave = true
	c.leaveStore(outer)
	c.x.current = before
	if err != nil {
		c.x.failed(err)
	}
	return at
}

// memory returns what a memory holds, or nil.
func (c *component) memory(item int32) []byte {
	if item == link.None {
		return nil
	}
	return c.store.Memory(item)
}
