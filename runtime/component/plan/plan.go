// Package plan says what the engine does to make an instance of a component: which core modules it
// instantiates in which stores, and what their imports are. It has no names to look up and no
// types to compare: linking did that. It is data, made once per component and used by many
// instances.
//
// A component instance that has core modules has a store of its own, so that one can wait while
// others run. Items of a store are numbered: the host's functions first, then exports of core
// instances as the steps take them.
package plan

import "github.com/krustlet-go/krustlet-wasi/runtime/component/types"

// Component is the plan of a component.
type Component struct {
	Modules [][]byte // core modules that the steps instantiate
	Stores  []Store
	// Order names stores: each carries out its steps up to the next Stop, or to its end.
	Order []int32
}

// Store is what happens in a store.
type Store struct {
	// Name is that of the component instance, for backtraces. It may be empty.
	Name      string
	Functions []Function
	Items     int
	Instances int
	Steps     []Step
}

// Function is the type of a host function.
type Function struct {
	// Name is the function's, if it is one of the host whose calls are counted. It is a name that link
	// knows, not one that a component chooses.
	Name            string
	Params, Results []types.Core
	// Memory is the item of the memory that the function is given, or -1.
	Memory int32
}

// Op is what a step does.
type Op uint8

const (
	// Instantiate makes core instance Instance of Module, whose imports are the items Args.
	Instantiate Op = iota
	// Export makes the export Name of core instance Instance item Item.
	Export
	// Stop ends a turn of the store.
	Stop
)

// Step is a step.
type Step struct {
	Op       Op
	Module   int32
	Instance int32
	Args     []int32
	Name     string
	Item     int32
}

// Value is a core value, as the engine lays it out. The upper half of an I32 or F32Core is not
// defined.
type Value struct {
	Bits uint64
	_    uint64
}

// MaxValues is the largest number of parameters, and of results, of a function that the host calls
// or is called by.
const MaxValues = types.MaxFlat + 1
