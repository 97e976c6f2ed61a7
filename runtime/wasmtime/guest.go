package wasmtime

// #include "guest.h"
import "C"

import (
	"context"
	"errors"
	"runtime/cgo"
	"time"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// hosted is what the host calls of one guest need. The context is kept here because C, between the guest and
// its host calls, cannot pass it on.
type hosted struct {
	ctx   context.Context //nolint:containedctx // see above
	wasi  *wasi.Guest
	pace  *pace
	ended error // why a host call ended the guest
}

// guest is an instance and its store. All methods but kill, resize, cpu, size, tableSize and addCalls are for the thread that runs it.
type guest struct {
	native *C.guest_t
	handle cgo.Handle
	base   time.Duration // what the thread had used before
}

// newGuest makes a guest of the calling thread. cpuLimit is in thousandths of a processor, 0 for none.
func newGuest(e *wasmtimego.Engine, h *hosted, maxMemory, cpuLimit int64) (*guest, error) {
	handle := cgo.NewHandle(h)
	native := C.guest_new(nativeEngine(e), C.uintptr_t(handle), C.size_t(len(hostCalls)), storeLimit(maxMemory), maxTableElements, cpuLimit > 0)
	if native == nil {
		handle.Delete()
		return nil, errors.New("the host is out of memory")
	}
	g := &guest{native: native, handle: handle}
	g.base = time.Duration(C.guest_cpu(native))
	h.pace.begin(g.thread(), g.base)
	return g, nil
}

// storeLimit is a limit of memory as stores have it, which take 0 for one.
func storeLimit(maxMemory int64) C.int64_t {
	if maxMemory <= 0 {
		return -1
	}
	return C.int64_t(maxMemory)
}

// resize gives the guest's store another limit of memory, and says whether there is one of processor time; how much is the
// pace's matter. It may be called from any goroutine before close.
func (g *guest) resize(maxMemory, cpuLimit int64) {
	C.guest_resize(g.native, storeLimit(maxMemory), cpuLimit > 0)
}

func (g *guest) close() {
	C.guest_delete(g.native)
	g.handle.Delete()
}

// kill makes the guest's code end at the next epoch. It may be called from any goroutine before close.
func (g *guest) kill() { C.guest_kill(g.native) }

// thread is the number of the guest's thread in the kernel. It may be asked for from any goroutine before close.
func (g *guest) thread() int { return int(g.native.thread) }

// instantiate makes the instance, which runs the module's start section.
func (g *guest) instantiate(m *module) error {
	if err := takeOutcome(C.guest_instantiate(g.native, m.imports.native), m.moved); err != nil {
		return err
	}
	for _, name := range tableNames {
		if !C.guest_watch_table(g.native, name, C.size_t(len(tableExport)+1)) {
			break
		}
	}
	return nil
}

var _ = [1]struct{}{}[maxTables-C.MAX_TABLES] // they are equal

// tableNames are the names of tables in C's memory, for good.
var tableNames = func() (all [maxTables]*C.char) {
	for i := range all {
		all[i] = C.CString(tableName(uint32(i)))
	}
	return all
}()

// start calls _start, and returns nil when that returns.
func (g *guest) start(m *module) error {
	var out C.outcome_t
	if !C.guest_start(g.native, &out) {
		return errNoStart
	}
	return takeOutcome(out, m.moved)
}

// cpu is the processor time that the guest has used. It may be called from any goroutine before close.
func (g *guest) cpu() time.Duration { return time.Duration(C.guest_cpu(g.native)) - g.base }

// size is the size of the guest's memory as it was at its last host call or epoch, in bytes. It may be called from
// any goroutine before close.
func (g *guest) size() int64 { return int64(C.guest_size(g.native)) }

// addCalls adds to each sum how often the guest has called that function of the table. It may be called from any
// goroutine before close.
func (g *guest) addCalls(sums []uint64) {
	C.guest_calls(g.native, (*C.uint64_t)(&sums[0]), C.size_t(len(sums)))
}

// tableSize is the size of the guest's tables as it was at its last epoch, in bytes. It may be called from any goroutine
// before close.
func (g *guest) tableSize() int64 { return int64(C.guest_table_size(g.native)) }

// refusedName is refusedExport in C's memory, for good.
var refusedName = C.CString(refusedExport)

// refused is how many bytes more the guest last asked for and did not get; 0 if it got them. known is false for
// a module that could not be watched. It must have an instance.
func (g *guest) refused() (size int64, known bool) {
	pages := int64(C.guest_refused(g.native, refusedName, C.size_t(len(refusedExport))))
	return max(pages, 0) * wasmPage, pages >= 0
}

// goEpoch is called where a guest that runs sees a new epoch, and something may hold it back.
//
//export goEpoch
func goEpoch(handle C.uintptr_t, cpu C.int64_t, busy C.bool) {
	h := cgo.Handle(handle).Value().(*hosted)
	h.pace.look(h.ctx, time.Duration(cpu), bool(busy))
}
