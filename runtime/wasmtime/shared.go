package wasmtime

// #include "store.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// shared is what all stores of a guest share: what the guest takes of its account, its kill switch,
// and the threads that run its code. Its methods are for any goroutine until close.
type shared struct {
	native *C.shared_t
	handle uintptr
	pace   *processor.Pace

	mu      sync.Mutex
	threads map[*thread]struct{} // that run code of the guest
	spent   time.Duration        // processor time of those that do no more
}

// thread is a thread of the kernel that runs code of a guest.
type thread struct {
	native *C.thread_t
	base   time.Duration // what it had used before
}

// newShared makes what the stores of a guest will share. They take their memory from the account.
func newShared(h *hosted, a *account) (*shared, error) {
	handle := guestHandles.add(h)
	native := C.shared_new(C.uintptr_t(handle), a.native, C.bool(h.pace.Limited()))
	if native == nil {
		guestHandles.remove(handle)
		return nil, errNoMemory
	}
	return &shared{native: native, handle: handle, pace: h.pace, threads: map[*thread]struct{}{}}, nil
}

var errNoMemory = errors.New("the host is out of memory")

// close gives back what the guest has taken. No store is left, and no thread.
func (s *shared) close() {
	C.shared_delete(s.native)
	guestHandles.remove(s.handle)
}

// begin makes the calling thread one of the guest's. The caller has locked its goroutine to it, and
// calls end on it. Stores of components are entered only while stack bytes of its stack are left; 0
// does not look.
func (s *shared) begin(stack int) (*thread, error) {
	native := C.thread_begin(s.native, C.size_t(stack))
	if native == nil {
		return nil, errNoMemory
	}
	t := &thread{native: native, base: time.Duration(native.looked)}
	s.pace.Begin(t.number(), t.base)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.threads[t] = struct{}{}
	return t, nil
}

// end is called on the thread when it runs no more code of the guest.
func (s *shared) end(t *thread) {
	cpu := time.Duration(C.thread_cpu(t.native))
	s.pace.End(t.number(), cpu)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.threads, t)
	s.spent += cpu - t.base
	C.thread_end(t.native)
}

// stepBack gives the calling thread the priority of a guest's, if it does not have that.
func (t *thread) stepBack(e *Engine) {
	if !t.native.low_priority {
		e.stepBack()
		t.native.low_priority = true
	}
}

// number returns the kernel's number of the thread.
func (t *thread) number() int { return int(t.native.number) }

// cpu returns the processor time that the guest has used.
func (s *shared) cpu() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.spent
	for t := range s.threads {
		all += time.Duration(C.thread_cpu(t.native)) - t.base
	}
	return all
}

// kill makes the guest's code end at the next epoch. Its threads get the priority of the process
// back.
func (s *shared) kill(p processor.Priority) {
	C.shared_kill(s.native)
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.threads {
		// If this process may not raise the priority, the guest ends at its next turn.
		_ = p.Restore(t.number())
		C.thread_restored(t.native)
	}
}

// killed reports whether the guest was killed.
func (s *shared) killed() bool { return bool(C.shared_killed(s.native)) }

// limit sets whether there is a limit of processor time. The pace knows the limit's value.
func (s *shared) limit(limited bool) { C.shared_limit(s.native, C.bool(limited)) }

// memory returns how many bytes the guest has taken from its account.
func (s *shared) memory() int64 { return int64(C.shared_memory(s.native)) }

// take takes what the guest needs at its start. beside is what the host holds for it.
func (s *shared) take(n needs, a *account, beside int64) error {
	if !C.shared_take(s.native, C.int64_t(n.memories), C.int64_t(n.tables), C.int64_t(beside)) {
		return fmt.Errorf("the guest needs %d bytes at the start (memory %d, tables %d, beside %d), and its container has taken %d bytes of its limit",
			n.memories+n.tables+beside, n.memories, n.tables, beside, a.used())
	}
	return nil
}

// refused reports whether the guest's last request for memory was refused: for linear memory or
// tables, and for objects.
func (s *shared) refused() (memory, heap bool) {
	return s.native.refused > 0, s.native.heap_refused > 0
}

// fullHeap reports whether a request for object memory was refused because of the bound for all
// guests, and not because of the guest's own limit.
func (s *shared) fullHeap() bool { return bool(s.native.heap_full) }

// outOfMemory returns which memory limit ended the guest. It is enough if the guest ended for
// another reason.
func (s *shared) outOfMemory(err error) shortage {
	memory, heap := s.refused()
	switch {
	case memory:
		return pastLimit
	case heap && endedByHeap(err) && s.fullHeap():
		return pastHeap
	case heap && endedByHeap(err):
		return pastLimit
	}
	return enough
}

// maxHeap bounds a guest's garbage-collected heap, in bytes.
const maxHeap = int64(C.HEAP_MAX)

// goEpoch is called when a running guest reaches a new epoch and may have to wait.
//
//export goEpoch
func goEpoch(handle C.uintptr_t, number C.int32_t, cpu C.int64_t, busy C.bool) {
	h := guestHandles.get(uintptr(handle))
	h.pace.Look(h.ctx, int(number), time.Duration(cpu), bool(busy))
}
