package wasmtime

// #include <stdlib.h>
// #include "store.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"time"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// hosted has what the host calls of one guest need. The context is stored here, because C is
// between the guest and its host calls and cannot pass it on.
type hosted struct {
	ctx   context.Context //nolint:containedctx // see above
	wasi  *preview1.Guest
	pace  *processor.Pace
	ended error // why a host call ended the guest
}

// store is a store and its instance. The methods kill, limit, thread, cpu, memory and addCalls may
// be called from any goroutine before close. All others are for the thread that runs its code.
type store struct {
	native *C.store_t
	handle uintptr
	base   time.Duration // what the thread had used before
}

// newStore makes a store that the calling thread will run. Its memory counts for the account.
func newStore(e *wasmtimego.Engine, h *hosted, a *account) (*store, error) {
	handle := guestHandles.add(h)
	bounds := C.store_bounds_t{elements: maxTableElements, tables: maxTables, memories: maxMemories}
	native := C.store_new(nativeEngine(e), C.uintptr_t(handle), C.size_t(len(hostCalls)), a.native, bounds, C.bool(h.pace.Limited()))
	if native == nil {
		guestHandles.remove(handle)
		return nil, errors.New("the host is out of memory")
	}
	s := &store{native: native, handle: handle}
	s.base = time.Duration(C.store_cpu(native))
	h.pace.Begin(s.thread(), s.base)
	return s, nil
}

// limit sets whether there is a limit of processor time. The pace knows the limit's value.
func (s *store) limit(limited bool) { C.store_limit(s.native, C.bool(limited)) }

func (s *store) close() {
	C.store_delete(s.native)
	guestHandles.remove(s.handle)
}

// kill makes the guest's code end at its next epoch.
func (s *store) kill() { C.store_kill(s.native) }

// thread returns the kernel's number of the guest's thread.
func (s *store) thread() int { return int(s.native.thread) }

// Names of exports, in C memory that is never freed.
var (
	startName       = C.CString("_start")
	startExportName = C.CString(translate.StartExport)
	growExportName  = C.CString(translate.GrowExport)
)

// instantiate makes the instance and runs the module's start section. paid says that another guest
// of the container already pays for the host's data about the module.
func (s *store) instantiate(m *module, a *account, paid bool) error {
	n, beside := m.needs, m.needs.beside(paid)
	if !C.store_take(s.native, C.int64_t(n.memories), C.int64_t(n.tables), C.int64_t(beside)) {
		return fmt.Errorf("the guest needs %d bytes at the start (memory %d, tables %d, beside %d), and its container has taken %d bytes of its limit",
			n.memories+n.tables+beside, n.memories, n.tables, beside, a.used())
	}
	if err := takeOutcome(C.store_instantiate(s.native, m.imports.native), m.info); err != nil {
		return err
	}
	if m.info.Grows && !bool(C.store_answer_growth(s.native, growExportName, C.size_t(len(translate.GrowExport)))) {
		return errors.New("the module cannot be told whether it may grow")
	}
	if !m.info.Starts {
		return nil
	}
	return s.call(m, startExportName, len(translate.StartExport))
}

// start calls _start, and returns nil when _start returns.
func (s *store) start(m *module) error { return s.call(m, startName, len("_start")) }

// call calls an exported function without parameters and results.
func (s *store) call(m *module, name *C.char, size int) error {
	var out C.outcome_t
	if !C.store_call(s.native, name, C.size_t(size), &out) {
		return errNoStart
	}
	return takeOutcome(out, m.info)
}

// cpu returns the processor time that the guest has used.
func (s *store) cpu() time.Duration { return time.Duration(C.store_cpu(s.native)) - s.base }

// memory returns how many bytes the guest has taken from its account.
func (s *store) memory() int64 { return int64(C.store_memory(s.native)) }

// addCalls adds to each sum the number of the guest's calls of this function of the table.
func (s *store) addCalls(sums []uint64) {
	C.store_calls(s.native, (*C.uint64_t)(&sums[0]), C.size_t(len(sums)))
}

// refused reports whether the guest's last request for memory was refused: for linear memory or
// tables, and for objects.
func (s *store) refused() (memory, heap bool) {
	return s.native.refused > 0, s.native.heap_refused > 0
}

// fullHeap reports whether a request for object memory was refused because of the bound for all
// guests, and not because of the guest's own limit.
func (s *store) fullHeap() bool { return bool(s.native.heap_full) }

// maxHeap bounds a guest's garbage-collected heap, in bytes.
const maxHeap = int64(C.HEAP_MAX)

// goEpoch is called when a running guest reaches a new epoch and may have to wait.
//
//export goEpoch
func goEpoch(handle C.uintptr_t, cpu C.int64_t, busy C.bool) {
	h := guestHandles.get(uintptr(handle))
	h.pace.Look(h.ctx, time.Duration(cpu), bool(busy))
}
