package wasmtime

// #include "guest.h"
import "C"

import (
	"context"
	"errors"
	"runtime/cgo"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// hosted is what the host calls of one guest need. The context is kept here because C, between the guest and
// its host calls, cannot pass it on.
type hosted struct {
	ctx   context.Context //nolint:containedctx // see above
	wasi  *wasi.Guest
	ended error // why a host call ended the guest
}

// guest is an instance and its store. All methods but kill are for the thread that runs it.
type guest struct {
	native *C.guest_t
	handle cgo.Handle
}

func newGuest(e *wasmtimego.Engine, h *hosted, maxMemory int64) (*guest, error) {
	if maxMemory <= 0 {
		maxMemory = -1
	}
	handle := cgo.NewHandle(h)
	native := C.guest_new(nativeEngine(e), C.uintptr_t(handle), C.int64_t(maxMemory), maxTableElements)
	if native == nil {
		handle.Delete()
		return nil, errors.New("the host is out of memory")
	}
	return &guest{native: native, handle: handle}, nil
}

func (g *guest) close() {
	C.guest_delete(g.native)
	g.handle.Delete()
}

// kill makes the guest's code end at the next epoch. It may be called from any goroutine before close.
func (g *guest) kill() { C.guest_kill(g.native) }

// instantiate makes the instance, which runs the module's start section.
func (g *guest) instantiate(p *prepared) error {
	return takeOutcome(C.guest_instantiate(g.native, p.native))
}

// start calls _start, and returns nil when that returns.
func (g *guest) start() error {
	var out C.outcome_t
	if !C.guest_start(g.native, &out) {
		return errNoStart
	}
	return takeOutcome(out)
}

// memorySize is the size of the guest's memory, in bytes.
func (g *guest) memorySize() int64 { return int64(C.guest_memory_size(g.native)) }
