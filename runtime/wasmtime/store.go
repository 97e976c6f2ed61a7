package wasmtime

// #include <stdlib.h>
// #include "command.h"
import "C"

import (
	"context"
	"errors"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// hosted has what the host calls of one guest need. The context is stored here, because C is
// between the guest and its host calls and cannot pass it on.
type hosted struct {
	ctx   context.Context //nolint:containedctx // see above
	wasi  *preview1.Guest // nil for a component
	pace  *processor.Pace
	ended error // why a host call ended the guest; not for a component

	requests *requests // of the run, or nil in tests
	owns     bool      // the requests are the guest's own, and not those of the run beside it
}

// client is what sends the guest's requests, or nil.
func (h *hosted) client() *client.Client {
	if h.requests == nil {
		return nil
	}
	return h.requests.Client
}

// pay says from which account the requests' memory is taken.
func (h *hosted) pay(a *account) {
	if h.owns {
		h.requests.memory.pay(a)
	}
}

// addRequests adds what the requests have used, if they are the guest's own.
func (h *hosted) addRequests(s *runtime.Stats) {
	if h.owns {
		h.requests.addTo(s)
	}
}

// store is the store of a command in a core module, with its instance. All methods but addCalls are
// for the thread that runs its code; that is for any goroutine before close.
type store struct {
	*shared
	own    *C.command_t
	thread *thread
}

// newStore makes a store that the calling thread will run. Its memory counts for the account.
func newStore(e *wasmtimego.Engine, h *hosted, a *account) (*store, error) {
	all, err := newShared(h, a)
	if err != nil {
		return nil, err
	}
	s := &store{shared: all}
	bounds := C.store_bounds_t{elements: maxTableElements, instances: 1, tables: maxTables, memories: maxMemories}
	s.own = C.command_new(nativeEngine(e), all.native, C.uintptr_t(all.handle), C.size_t(len(hostCalls)), bounds)
	if s.own == nil {
		all.close()
		return nil, errNoMemory
	}
	if s.thread, err = all.begin(0); err != nil {
		C.command_delete(s.own)
		all.close()
		return nil, err
	}
	return s, nil
}

func (s *store) close() {
	s.end(s.thread)
	C.command_delete(s.own)
	s.shared.close()
}

// Names of exports, in C memory that is never freed.
var (
	startName       = C.CString("_start")
	startExportName = C.CString(translate.StartExport)
	growExportName  = C.CString(translate.GrowExport)
)

// instantiate makes the instance and runs the module's start section. paid says that another guest
// of the container already pays for the host's data about the module.
func (s *store) instantiate(m *module, a *account, paid bool) error {
	if err := s.take(m.needs, a, m.needs.beside(paid)); err != nil {
		return err
	}
	if err := takeOutcome(C.command_instantiate(s.own, m.imports.native, C.int64_t(m.needs.memories)), m); err != nil {
		return err
	}
	if m.info.Grows && !bool(C.store_answer_growth(&s.own.store, &s.own.instance, growExportName, C.size_t(len(translate.GrowExport)))) {
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
	if !C.store_call(&s.own.store, &s.own.instance, name, C.size_t(size), &out) {
		return errNoStart
	}
	return takeOutcome(out, m)
}

// addCalls adds to each sum the number of the guest's calls of this function of the table.
func (s *store) addCalls(sums []uint64) {
	C.store_calls(&s.own.store, (*C.uint64_t)(&sums[0]), C.size_t(len(sums)))
}
