package canon

import "github.com/krustlet-go/krustlet-wasi/runtime/component/types"

// The specification's bounds of one string, one list and one buffer of a stream.
const (
	maxStringBytes = 1<<28 - 1
	maxListBytes   = 1<<28 - 1
	maxBuffer      = 1<<28 - 1
)

const (
	// maxMoved is how many bytes a call moves between two guests, with what elements count beside.
	// No honest call has more: 4 GiB is all that fits into the memory that they go to. An allocator
	// that returns the same memory again and again could make a call last for hours.
	maxMoved = 1 << 34
	// maxLifted is how many bytes a call makes the host keep in memory of its own. Its largest
	// values are paths, environments and headers; lists of bytes are read in place.
	maxLifted = 64 << 20
	// pollEvery is how many bytes are moved between two looks at whether the guest has to end: well
	// below a millisecond of copying, a few of decoding.
	pollEvery = 1 << 20
	// elementCost is what an element counts beside its bytes, in bytes: that it takes as long as
	// copying this many.
	elementCost = 16
)

// work counts what a call moves.
type work struct {
	moved, poll, lifted uint64
}

// moving counts n bytes that are about to be moved, and polls now and then.
func (f *Frame) moving(n uint64) {
	f.work.moved += n
	if f.work.moved >= f.work.poll {
		f.look()
	}
}

func (f *Frame) look() {
	f.work.poll = f.work.moved + pollEvery
	if f.work.moved > maxMoved {
		Trapf("the guest moves too much in one call")
	}
	f.side.Poll()
}

// lifted counts n bytes that the host keeps.
func (f *Frame) lifted(n uint64) {
	f.work.lifted += n
	if f.work.lifted > maxLifted {
		Trapf("the arguments of the call take more than %d MiB", maxLifted>>20)
	}
}

// inside reports whether n bytes lie in memory.
func (f *Frame) inside(at uint32, n uint64) bool {
	return uint64(at)+n <= uint64(len(f.mem))
}

// check traps if a value cannot be at an address.
func (f *Frame) check(t *types.Type, at uint32, what string) {
	if at&(t.Align-1) != 0 {
		Trapf("the address of a %s is not aligned to %d bytes", what, t.Align)
	}
	if !f.inside(at, uint64(t.Size)) {
		Trapf("a %s lies outside of the memory", what)
	}
}

// checkList traps if a list cannot be at an address.
func (f *Frame) checkList(e *types.Type, at, n uint32) {
	size := uint64(n) * uint64(e.Size)
	if size > maxListBytes {
		Trapf("a list takes %d bytes or more", maxListBytes+1)
	}
	if at&(e.Align-1) != 0 {
		Trapf("the address of a list is not aligned to %d bytes", e.Align)
	}
	if !f.inside(at, size) {
		Trapf("a list lies outside of the memory")
	}
}

// checkBuffer traps if a buffer cannot be at an address. It returns the address, or 0 if the buffer
// is empty: then it may be any.
func (f *Frame) checkBuffer(e *types.Type, at, n uint32) uint32 {
	if n > maxBuffer {
		Trapf("a buffer has %d elements or more", maxBuffer+1)
	}
	if n == 0 {
		return 0
	}
	if at&(e.Align-1) != 0 {
		Trapf("the address of a buffer is not aligned to %d bytes", e.Align)
	}
	if !f.inside(at, uint64(n)*uint64(e.Size)) {
		Trapf("a buffer lies outside of the memory")
	}
	return at
}

// allocate returns new memory of the guest.
func (f *Frame) allocate(align, size uint32) uint32 { return f.reallocate(0, 0, align, size) }

// reallocate returns memory of the guest that has another size, and what was in it.
func (f *Frame) reallocate(old, oldSize, align, size uint32) uint32 {
	at := f.side.Realloc(old, oldSize, align, size)
	f.mem = f.side.Memory()
	if f.peer != nil {
		f.peer.mem = f.peer.side.Memory()
	}
	if at&(align-1) != 0 {
		Trapf("realloc returned an address that is not aligned to %d bytes", align)
	}
	if !f.inside(at, uint64(size)) {
		Trapf("realloc returned memory outside of the memory")
	}
	return at
}

// newList returns the places of a list of n elements, in new memory.
func (f *Frame) newList(e *types.Type, n uint64) Places {
	if n*uint64(e.Size) > maxListBytes {
		Trapf("a list for the guest takes %d bytes or more", maxListBytes+1)
	}
	return Places{f: f, elem: e, at: f.allocate(e.Align, uint32(n)*e.Size), n: uint32(n)}
}
