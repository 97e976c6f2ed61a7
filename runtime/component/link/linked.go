package link

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Component is a component that is linked.
type Component struct {
	Plan *plan.Component
	// Instances are its component instances, in the order in which they begin. The first one is the
	// component itself.
	Instances []ComponentInstance
	Imports   []Import
	// Exports are those of the component itself.
	Exports *Instance
	// Work is how many definitions, and items in lists of them, were evaluated. What linking made
	// takes up to 128 bytes for each.
	Work int
}

// None stands for an item, store or instance that is not there.
const None = -1

// ComponentInstance is an instance of the component, or of one in it.
type ComponentInstance struct {
	Parent    int32 // or None
	Store     int32 // in the plan, or None if it needs none
	Functions []Function
}

// Import is a function that the host must give.
type Import struct {
	Interface string // as the component names it, or "" for a function that is imported by itself
	Name      string
	Type      *types.Func
}

// Instance is what an instance of a component exports.
type Instance struct {
	Names []string // in their order
	items map[string]any
}

func newInstance() *Instance { return &Instance{items: map[string]any{}} }

func (i *Instance) add(name string, item any) {
	if _, ok := i.items[name]; !ok {
		i.Names = append(i.Names, name)
	}
	i.items[name] = item
}

// Export is the export with that name, or nil: a *Func, an *Instance, a *types.Resource, a
// *types.Type or what only linking understands.
func (i *Instance) Export(name string) any { return i.items[name] }

// Func is the exported function with that name, or nil.
func (i *Instance) Func(name string) *Func {
	f, _ := i.items[name].(*Func)
	return f
}

// Instance is the exported instance with that name, or nil.
func (i *Instance) Instance(name string) *Instance {
	x, _ := i.items[name].(*Instance)
	return x
}

// Func is a function: one of the host, or a core function that is lifted.
type Func struct {
	Type *types.Func
	Name string // of a function of the host, with the interface and the version that it is compatible with

	Import int32 // index of Component.Imports, or None

	Core      int32 // the item that is lifted
	Options   *Options
	Signature types.Signature
}

// Options are the canonical options of a function.
type Options struct {
	Instance   int32 // of Component.Instances
	Encoding   binary.Encoding
	Memory     int32 // an item, like those that follow, or None
	Realloc    int32
	PostReturn int32
	Callback   int32
	Async      bool
}

// Op is what a host function of a plan does: Lower, or else a canonical built-in.
type Op uint8

// Lower calls a function of another component or of the host.
const Lower Op = 0

// Builtin is the operation that is a canonical built-in.
func Builtin(op binary.BuiltinOp) Op { return Op(op) }

// Function is what a host function of a plan does. What its operation does not need is zero.
type Function struct {
	Op        Op
	Func      *Func // that is lowered
	Options   *Options
	Signature types.Signature
	Type      *types.Type // a stream or future, or the result of task.return
	Resource  *types.Resource
	Slot      uint32 // of context.get and context.set
	Async     bool   // the flag async or cancellable
	Memory    int32  // item of the memory that takes an event, or None
}

// Definer is the Owner of a resource type: what defines it.
type Definer struct {
	// Instance is the component instance that defines it, or None for the host.
	Instance int32
	// Destructor is the item of its core function, or None.
	Destructor int32
	// Interface is that of the host: its name with the version that it is compatible with.
	Interface string
}

// QualifiedName is the function's name with the interface, for messages.
func (i *Import) QualifiedName() string { return qualified(short(i.Interface), short(i.Name)) }
