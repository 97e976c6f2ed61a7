package instance

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// resource is a handle of a resource.
type resource struct {
	of    *types.Resource
	rep   canon.Handle
	own   bool
	scope *task // of a borrow: who must drop it before it returns
	lends int
}

// Dropper is what a resource of the host implements to hear that the guest dropped it. Drop is
// called in the component's turn.
type Dropper interface{ Drop() }

const handleWord = "handle"

func (c *component) resource(i uint32, of *types.Resource) *resource {
	h := handleOf[*resource](c, i, handleWord)
	if h.of != of {
		wrongHandle("handle of that resource type")
	}
	return h
}

// addResource makes a handle, of the memory of one that is gone if there is one.
func (c *component) addResource(r resource) uint32 {
	x := c.x
	var h *resource
	if n := len(x.resources); n > 0 {
		h, x.resources = x.resources[n-1], x.resources[:n-1]
	} else {
		h = new(resource)
	}
	*h = r
	return c.addHandle(h)
}

// gone keeps the memory of a handle that is in no table any more, and not lent. It returns what the
// handle was.
func (x *Instance) gone(h *resource) resource {
	r := *h
	*h = resource{}
	if len(x.resources) < idleResources {
		x.resources = append(x.resources, h)
	}
	return r
}

func resourceNew(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	i := c.addResource(resource{of: f.Resource, rep: canon.Handle{Rep: v.u32(0)}, own: true})
	v.set(0, i)
}

func resourceRep(c *component, f *link.Function, v *values, _ []byte) {
	v.set(0, c.resource(v.u32(0), f.Resource).rep.Rep)
}

func resourceDrop(c *component, f *link.Function, v *values, _ []byte) {
	c.mustLeave()
	h := takeHandle[*resource](c, v.u32(0), handleWord)
	if h.of != f.Resource {
		wrongHandle("handle of that resource type")
	}
	if h.lends != 0 {
		canon.Trapf("the guest drops a handle that it has lent to a call")
	}
	r := c.x.gone(h)
	if r.own {
		c.x.destroy(r.of, r.rep, c)
		return
	}
	r.scope.borrows--
}

var destructorType = types.NewFunc(types.Func{Params: []types.Param{{Label: "rep", Type: types.Prim(types.U32)}}})

// destroy ends a resource, by a call from a component instance or from the host (nil).
func (x *Instance) destroy(of *types.Resource, rep canon.Handle, from *component) {
	owner := of.Owner.(*link.Definer)
	if owner.Instance == link.None {
		if d, ok := rep.Host.(Dropper); ok {
			d.Drop()
		}
		return
	}
	if owner.Destructor == link.None {
		if !x.components[owner.Instance].mayEnterFrom(from) {
			canon.Trapf(cannotEnter)
		}
		return
	}
	x.invoke(&link.Func{
		Type: destructorType, Import: link.None, Core: owner.Destructor,
		Options: &link.Options{
			Instance: owner.Instance, Memory: link.None, Realloc: link.None, PostReturn: link.None, Callback: link.None,
		},
		Signature: destructorType.Lifted(false, false),
	}, destruction(rep.Rep), from)
}

// destruction is the caller of a destructor.
type destruction uint32

func (d destruction) start(args canon.Place)    { args.Field(0).U32(uint32(d)) }
func (d destruction) resolve(canon.Value, bool) {}

// values are the parameters of a host function, and then its results.
type values [plan.MaxValues]plan.Value

func (v *values) u32(i int) uint32     { return uint32(v[i].Bits) }
func (v *values) set(i int, to uint32) { v[i] = plan.Value{Bits: uint64(to)} }
