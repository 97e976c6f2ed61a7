package wasmtime

import (
	"sync"
	"sync/atomic"
)

// handles has the Go half of each guest, or of each store of a component, by the number that C
// knows it by. Every host call looks one up: with cgo.Handle that takes 20 ns, a sixth of a short
// call, and with a slice 2 ns.
type handles[T any] struct {
	list atomic.Pointer[[]atomic.Pointer[T]]

	mu   sync.Mutex
	free []uintptr
}

// add gives a Go half a number.
func (t *handles[T]) add(h *T) uintptr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) == 0 {
		t.grow()
	}
	last := len(t.free) - 1
	n := t.free[last]
	t.free = t.free[:last]
	(*t.list.Load())[n].Store(h)
	return n
}

// grow doubles the list. A call that still reads the old list finds its Go half there: numbers that
// are in use do not change.
func (t *handles[T]) grow() {
	var old []atomic.Pointer[T]
	if l := t.list.Load(); l != nil {
		old = *l
	}
	list := make([]atomic.Pointer[T], max(2*len(old), 64))
	for i := range old {
		list[i].Store(old[i].Load())
	}
	for n := len(list) - 1; n >= len(old); n-- {
		t.free = append(t.free, uintptr(n))
	}
	t.list.Store(&list)
}

// get returns the Go half of a number that is in use. Any goroutine may call it.
func (t *handles[T]) get(n uintptr) *T { return (*t.list.Load())[n].Load() }

// remove takes a number back. No more calls come with it.
func (t *handles[T]) remove(n uintptr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	(*t.list.Load())[n].Store(nil)
	t.free = append(t.free, n)
}

// Those of all engines of this OS process: guests, and stores of components.
var (
	guestHandles handles[hosted]
	storeHandles handles[machineStore]
)
