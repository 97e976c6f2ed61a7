package wasmtime

// #cgo noescape machine_store_memory
// #cgo nocallback machine_store_memory
// #include "plan.h"
import "C"

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"unsafe"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// machine is an instance of a component as the engine has it: its stores, and the threads that run
// their code. What the stores take and use counts for the guest whose machine it is.
//
// A store is made, used and closed on threads of the machine only (Thread, Go), by one at a time.
type machine struct {
	engine *Engine
	plan   *componentPlan
	shared *shared

	threads sync.WaitGroup // of Go

	mu       sync.Mutex
	waiting  int                        // threads of Go
	stores   map[*machineStore]struct{} // that are open
	calls    map[string]uint64          // of stores that are closed
	breakage error                      // why the machine was killed from here
}

// planCalls answers the host functions of a store. An error ends the call of the store that led
// here.
type planCalls interface {
	// Call answers a function of the plan. values holds its parameters and takes its results; the
	// upper half of a parameter of 32 bits is zero. memory is what its memory holds, if it has one,
	// until the guest's code runs again.
	Call(function int32, values *[plan.MaxValues]plan.Value, memory []byte) error
}

// newMachine makes an instance of a component, without any store yet, and takes from the account
// what it needs. It keeps the plan open. paid says that another guest of the container pays for
// what the host holds for the code.
func (e *Engine) newMachine(p *componentPlan, h *hosted, a *account, paid bool) (*machine, error) {
	return e.newMachineBeside(p, h, a, p.needs.beside(paid))
}

// newMachineBeside is newMachine with the bytes that the host holds for the machine.
func (e *Engine) newMachineBeside(p *componentPlan, h *hosted, a *account, beside int64) (*machine, error) {
	s, err := newShared(h, a)
	if err != nil {
		return nil, err
	}
	if err := s.take(p.needs, a, beside); err != nil {
		s.close()
		return nil, err
	}
	m := &machine{engine: e, plan: p.share(), shared: s, stores: map[*machineStore]struct{}{}, calls: map[string]uint64{}}
	e.calls.beginMachine(m)
	return m, nil
}

// close waits for the threads of Go and frees the machine, with the stores that are still open. No
// call of kill is under way or follows.
func (m *machine) close() {
	m.threads.Wait()
	for _, s := range m.open() {
		s.Close()
	}
	m.engine.calls.endMachine(m)
	m.shared.close()
	m.plan.close()
}

// What must be left of a thread's stack, in bytes, when code of a guest is entered: what that may
// use, and what the engine and the host use besides.
const entryStack = maxStack + 256<<10

// Thread makes the calling thread one of the guest's, until end is called on it. The caller has
// locked its goroutine to it.
func (m *machine) Thread() (end func(), err error) {
	t, err := m.shared.begin(entryStack)
	if err != nil {
		return nil, err
	}
	t.stepBack(m.engine)
	return func() { m.shared.end(t) }, nil
}

// maxThreads bounds the threads of a guest besides its first one: tasks that wait in the guest's
// code hold one each.
const maxThreads = 64

var errThreads = fmt.Errorf("the guest has %d threads that wait, and may have no more", maxThreads)

// Go runs f on another thread of the guest, which takes one of the engine's slots. close waits for
// it.
func (m *machine) Go(f func()) error {
	if err := m.addThread(); err != nil {
		return err
	}
	failed := make(chan error)
	m.threads.Go(func() {
		defer m.removeThread()
		goruntime.LockOSThread() // the thread ends with this goroutine: its priority cannot be given back
		end, err := m.Thread()
		failed <- err
		if err == nil {
			defer end()
			f()
		}
	})
	return <-failed
}

func (m *machine) addThread() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == maxThreads {
		return errThreads
	}
	if err := m.engine.slots.Take(1); err != nil {
		return err
	}
	m.waiting++
	return nil
}

func (m *machine) removeThread() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.engine.slots.Give(1)
	m.waiting--
}

// kill makes code of the guest end at the next epoch, in every store. Any goroutine may call it
// until close.
func (m *machine) kill() {
	m.shared.kill(m.engine.priority)
	m.plan.engine.IncrementEpoch()
}

// fail kills the machine because of a mistake of the host's, and returns what the first one was.
func (m *machine) fail(err error) error {
	m.mu.Lock()
	if m.breakage == nil {
		m.breakage = err
	}
	err = m.breakage
	m.mu.Unlock()
	m.kill()
	return err
}

// broken returns why the machine was killed from here, or nil.
func (m *machine) broken() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.breakage
}

func (m *machine) open() (all []*machineStore) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.stores {
		all = append(all, s)
	}
	return all
}

// addCalls adds to each sum how often the guest has called that function.
func (m *machine) addCalls(sums map[string]uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, n := range m.calls {
		sums[name] += n
	}
	for s := range m.stores {
		s.addCalls(sums)
	}
}

// machineStore is a store of a machine. Memory and Realloc give memory as it is until the guest's
// code runs again.
type machineStore struct {
	machine *machine
	native  *C.machine_store_t
	handle  uintptr
	number  int // of the plan's
	calls   planCalls
	ended   error // why a host call ends the call that led to it
}

// NewStore makes a store of the plan, with its host functions and nothing else in it.
func (m *machine) NewStore(number int, calls planCalls) (*machineStore, error) {
	if number < 0 || number >= len(m.plan.stores) {
		return nil, fmt.Errorf("internal error: store %d of %d of the component", number, len(m.plan.stores))
	}
	s := &machineStore{machine: m, number: number, calls: calls}
	s.handle = storeHandles.add(s)
	s.native = C.machine_store_new(nativeEngine(m.plan.engine), m.shared.native, m.plan.stores[number], C.uintptr_t(s.handle))
	if s.native == nil {
		storeHandles.remove(s.handle)
		return nil, errNoMemory
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stores[s] = struct{}{}
	return s, nil
}

// Close frees the store. Nothing runs in it. A second call does nothing.
func (s *machineStore) Close() {
	if s.native == nil {
		return
	}
	m := s.machine
	m.mu.Lock()
	s.addCalls(m.calls)
	delete(m.stores, s)
	m.mu.Unlock()
	C.machine_store_delete(s.native)
	storeHandles.remove(s.handle)
	s.native = nil
}

// addCalls is called with the machine's mutex held.
func (s *machineStore) addCalls(sums map[string]uint64) {
	functions := s.machine.plan.data.Stores[s.number].Functions
	if len(functions) == 0 {
		return
	}
	n := make([]uint64, len(functions))
	C.store_calls(&s.native.store, (*C.uint64_t)(&n[0]), C.size_t(len(n)))
	for i := range functions {
		if name := functions[i].Name; name != "" && n[i] > 0 {
			sums[name] += n[i]
		}
	}
}

// Run carries out the steps up to the next plan.Stop, or to the end.
func (s *machineStore) Run() error {
	return s.result(C.machine_store_run(s.native))
}

// Call calls a function. values has room for its parameters and for its results, and holds first
// these and then those.
func (s *machineStore) Call(item int32, values []plan.Value) error {
	if len(values) == 0 {
		return s.result(C.machine_store_call(s.native, C.uint32_t(item), nil, 0))
	}
	// In this form cgo looks for pointers in the values, not in all that they are a part of.
	return s.result(C.machine_store_call(s.native, C.uint32_t(item), (*C.wasmtime_val_raw_t)(unsafe.Pointer(&values[0])), C.size_t(len(values))))
}

// Realloc calls a function (old, oldSize, align, size) that belongs to the memory, and returns the
// address that it returns, and the memory after that.
func (s *machineStore) Realloc(function, memory int32, old, oldSize, align, size uint32) (uint32, []byte, error) {
	done := C.machine_store_realloc(s.native, C.uint32_t(function), C.uint32_t(memory),
		C.uint32_t(old), C.uint32_t(oldSize), C.uint32_t(align), C.uint32_t(size))
	if err := s.result(done); err != nil {
		return 0, nil, err
	}
	return uint32(done.address), unsafe.Slice((*byte)(done.memory), done.size), nil
}

// Memory is what a memory holds, nil if the item is none.
func (s *machineStore) Memory(item int32) []byte {
	done := C.machine_store_memory(s.native, C.uint32_t(item))
	return unsafe.Slice((*byte)(done.memory), done.size)
}

// result returns how something ended.
func (s *machineStore) result(done C.done_t) error {
	if done.fault == C.FAULT_NONE && done.outcome.trap == nil && done.outcome.error == nil {
		return nil
	}
	if done.fault != C.FAULT_NONE {
		return s.fault(done.fault)
	}
	ended := s.ended
	s.ended = nil
	switch {
	case ended != nil:
		dropOutcome(done.outcome)
		return ended
	case bool(s.machine.shared.killed()):
		dropOutcome(done.outcome)
		return s.killed()
	}
	return takeOutcome(done.outcome, storeFrames{s.machine.plan, s.number})
}

// killed is the error of what a kill has ended.
func (s *machineStore) killed() error {
	if err := s.machine.broken(); err != nil {
		return err
	}
	return wasi.ErrKilled
}

// Mistakes of what uses a store. They end the guest.
var (
	errOtherThread = errors.New("internal error: a thread that is not the guest's enters a store")
	errTwoThreads  = errors.New("internal error: two threads enter one store")
)

// fault returns what a fault means.
func (s *machineStore) fault(fault C.fault_t) error {
	switch fault {
	case C.FAULT_KILLED:
		return s.killed()
	case C.FAULT_STACK:
		return &trapError{reason: trapReasons[0]}
	case C.FAULT_THREAD:
		return s.machine.fail(errOtherThread)
	case C.FAULT_ENTERED:
		return s.machine.fail(errTwoThreads)
	}
	return fmt.Errorf("internal error: store %d of the component: %s", s.number, planFaults[fault])
}

// planFaults are the faults that only a wrong plan leads to, or a wrong use of it.
var planFaults = map[C.fault_t]string{
	C.FAULT_FAILED: "a step has failed before",
	C.FAULT_ITEM:   "an item that is not there",
	C.FAULT_KIND:   "an item of another kind",
	C.FAULT_TYPE:   "a function of another type than the host calls",
	C.FAULT_VALUES: "a function with more values than there is room for",
	C.FAULT_EXPORT: "an export that is not there",
	C.FAULT_GROWTH: "an instance that cannot be told whether it may grow",
}

// goPlanCall runs a host function of the store of handle. It returns false for a call that ends
// what called it, with the reason left in ended. Nothing of the engine is on the Go stack, so a
// panic ends here.
//
//export goPlanCall
func goPlanCall(handle C.uintptr_t, function C.uint32_t, values *C.wasmtime_val_raw_t, memory *C.uint8_t, size C.size_t) (ok C.bool) {
	s := storeHandles.get(uintptr(handle))
	defer func() {
		if r := recover(); r != nil {
			s.ended = &panicError{function: s.functionName(int(function)), value: r, stack: debug.Stack()}
			ok = false
		}
	}()
	err := s.calls.Call(int32(function), (*[plan.MaxValues]plan.Value)(unsafe.Pointer(values)), unsafe.Slice((*byte)(memory), size))
	if err != nil {
		s.ended = err
		return false
	}
	return true
}

func (s *machineStore) functionName(number int) string {
	if name := s.machine.plan.data.Stores[s.number].Functions[number].Name; name != "" {
		return name
	}
	return strconv.Itoa(number)
}
