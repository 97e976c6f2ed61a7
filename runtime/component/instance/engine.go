package instance

import "github.com/krustlet-go/krustlet-wasi/runtime/component/plan"

// Engine makes the stores of one instance, and the threads that use them.
type Engine interface {
	// NewStore makes the store of the plan with that number, with nothing in it but its host
	// functions, which host answers.
	NewStore(number int, host Calls) (Store, error)
	// Go runs f on another goroutine that may use the stores, or fails if there are too many.
	Go(f func()) error
}

// Store is the store of one component instance. Its methods are called by one goroutine at a time:
// one that Go began, or one that calls the Instance. Of two calls that overlap the later one is
// made by the goroutine of the earlier one and ends first: there is never a second stack in a
// store.
type Store interface {
	// Run carries out the steps up to the next plan.Stop, or to the end.
	Run() error
	// Call calls a function: values has room for its parameters and for its results, and holds
	// first these and then those.
	Call(item int32, values []plan.Value) error
	// Memory is what a memory holds, until something is called in the store.
	Memory(item int32) []byte
	// Realloc calls the function of that name, which belongs to the memory, and returns the address
	// and the memory after that.
	Realloc(function, memory int32, old, oldSize, align, size uint32) (uint32, []byte, error)
	Close()
}

// Calls answers the host functions of a store. An error ends the call of the store that led here.
type Calls interface {
	// Call answers a function of the plan. values holds its parameters and takes its results;
	// memory is what its memory holds, if it has one.
	Call(function int32, values *[plan.MaxValues]plan.Value, memory []byte) error
}
