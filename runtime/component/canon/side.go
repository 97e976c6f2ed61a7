package canon

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Side is a component instance as one call sees it: its memory, its allocator, its handles, and
// who answers for the borrows of the call. A method that finds that the guest broke a rule
// unwinds, by Trapf or with what the engine reported in a Trap.
type Side interface {
	// Memory returns the memory as it is now, or nil if the options name none. It stays where it is
	// until code of the guest runs, and never gets smaller.
	Memory() []byte
	// Realloc calls the guest's allocator and returns what that says, unchecked. The memory may have
	// moved after it.
	Realloc(old, oldSize, align, size uint32) uint32
	// Encoding says how the guest encodes strings.
	Encoding() binary.Encoding
	// LiftHandle takes what a handle stands for out of the guest's table, or for a borrow and an
	// error context finds it there. t is Own, Borrow, Stream, Future or ErrorContext.
	LiftHandle(t *types.Type, index uint32) Handle
	// LowerHandle makes a handle for h in the guest's table, and returns its index.
	LowerHandle(t *types.Type, h Handle) uint32
	// Poll is called now and then while much is moved. It unwinds if the guest has to end. It may
	// take time, but runs no code of the guest.
	Poll()
}

// Handle is what a handle stands for, while it moves from one side to the other.
type Handle struct {
	// Rep is how a component represents a resource that it defines.
	Rep uint32
	// Host is the host's own resource, or a stream, future or error context as the package that has
	// tables represents it.
	Host any
}
