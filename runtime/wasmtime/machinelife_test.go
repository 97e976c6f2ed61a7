package wasmtime

import (
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestStartOfAPart: the start section runs with its instance, and how it ends the steps end.
func TestStartOfAPart(t *testing.T) {
	e := newEngine(t)
	text := `(module $part (import "" "" (func $f (result i32))) (memory (export "memory") 1) (func $begin %s) (start $begin) (func (export "get") (result i32) (i32.load (i32.const 0))))`
	functions := []plan.Function{function(2, none, i32s(1))}
	full := parts(t, fmt.Sprintf(text, `(i32.store (i32.const 0) (call $f))`))[0]
	r := newRig(t, e, single(full, functions, "get", "memory"))
	s := r.ran(0, answer(func(_ int32, v *[plan.MaxValues]plan.Value, memory []byte) error {
		v[0].Bits = uint64(77 + len(memory)) // the memory is not taken yet
		return nil
	}))
	if v := s.call(t, 1); uint32(v) != 77 {
		t.Errorf("the start section stored %d", uint32(v))
	}

	trap := parts(t, fmt.Sprintf(text, `(unreachable)`))[0]
	r2 := newRig(t, e, single(trap, functions, "get", "memory"))
	err := r2.store(0, silent).Run()
	if err == nil || !strings.HasPrefix(err.Error(), "unreachable instruction executed\nwasm backtrace:\n  0: begin (component main, module part, function 1, at 0x") {
		t.Errorf("a trap in the start section: %v", err)
	}

	r3 := newRig(t, e, single(full, functions, "get", "memory"))
	wrong := errors.New("wrong")
	if err := r3.store(0, answer(func(int32, *[plan.MaxValues]plan.Value, []byte) error { return wrong })).Run(); !errors.Is(err, wrong) {
		t.Errorf("an error of the host in the start section: %v", err)
	}
}

// growing is a part that grows its memory by as many pages as it is asked for.
const growing = `(module $growing (import "" "" (func $f)) (memory (export "memory") 1)
	(func (export "realloc") (param i32 i32 i32 i32) (result i32) (if (i32.eq (i32.const -1) (memory.grow (local.get 3))) (then (unreachable)))
		(i32.sub (i32.mul (i32.const 65536) (memory.size)) (i32.const 1)))
	(func (export "host") (call $f)) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`

// TestMemoryMoves: after a realloc the memory is as large as it has become, and so is that which
// the next host call gets.
func TestMemoryMoves(t *testing.T) {
	e := newEngine(t)
	r := newRig(t, e, single(parts(t, growing)[0], []plan.Function{function(1, none, none)}, "memory", "realloc", "host"))
	size := 0
	s := r.ran(0, answer(func(_ int32, _ *[plan.MaxValues]plan.Value, memory []byte) error {
		size = len(memory)
		return nil
	}))
	before := s.machine.shared.memory()
	at, memory, err := s.Realloc(2, 1, 0, 0, 1, 100)
	if err != nil || len(memory) != 101<<16 || at != 101<<16-1 {
		t.Fatalf("at %d of %d bytes: %v", at, len(memory), err)
	}
	memory[at] = 1
	s.call(t, 3)
	if size != 101<<16 || s.Memory(1)[at] != 1 {
		t.Errorf("the host gets %d bytes", size)
	}
	if took := s.machine.shared.memory() - before; took != 100<<16 || r.account.used() != s.machine.shared.memory() {
		t.Errorf("%d bytes more are taken, %d of the account", took, r.account.used())
	}
}

// TestMemoryOfAllStoresIsBounded: what one store takes, another cannot have.
func TestMemoryOfAllStoresIsBounded(t *testing.T) {
	e := newEngine(t)
	p := single(parts(t, growing)[0], []plan.Function{function(1, none, none)}, "memory", "realloc", "grow")
	p.Stores = append(p.Stores, p.Stores[0])
	const limit = 64 << 20
	r, err := tryRig(t, e, p, limit)
	if err != nil {
		t.Fatal(err)
	}
	defer r.discard()
	a, b := r.ran(0, silent), r.ran(1, silent)
	if v := a.call(t, 3, 600); uint32(v) != 1 {
		t.Errorf("the first store got %d", int32(v))
	}
	if v := b.call(t, 3, 600); int32(v) != -1 {
		t.Errorf("the second store got %d", int32(v))
	}
	_, _, err = b.Realloc(2, 1, 0, 0, 1, 600)
	if err == nil || r.shared.outOfMemory(err) != pastLimit {
		t.Errorf("it failed because of %v: %v", r.shared.outOfMemory(err), err)
	}
	if v := a.call(t, 3, 1); int32(v) != 601 || r.shared.outOfMemory(err) != enough {
		t.Errorf("what another store got counts as well: %d", int32(v))
	}

	if _, err := tryRig(t, e, p, 128<<10-1); err == nil || !strings.Contains(err.Error(), "bytes at the start, more than its limit of 131071 bytes") {
		t.Errorf("a component larger than its limit: %v", err)
	}
	full, err := newAccount(limit)
	if err != nil {
		t.Fatal(err)
	}
	defer full.close()
	full.resize(1)
	if _, err := e.newMachine(r.plan, r.hosted, full, false); err == nil || !strings.Contains(err.Error(), "its container has taken 0 bytes of its limit") {
		t.Errorf("an account that is full: %v", err)
	}
}

// TestKilledMachine: a kill ends code that runs in any store, what is called afterwards, and, with
// the context, a host call.
func TestKilledMachine(t *testing.T) {
	e := newEngine(t)
	p := single(parts(t, `(module (import "" "" (func $f)) (func (export "spin") (loop $l (br $l))) (func (export "host") (call $f)))`)[0],
		[]plan.Function{function(-1, none, none)}, "spin", "host")
	p.Stores = append(p.Stores, p.Stores[0])
	for _, c := range []struct {
		name string
		act  func(r *rig, s, other *machineStore, killed func()) error
	}{
		{"while it runs", func(_ *rig, s, _ *machineStore, killed func()) error {
			time.AfterFunc(20*time.Millisecond, killed)
			_, err := s.tryCall(1)
			return err
		}},
		{"in another store", func(_ *rig, s, _ *machineStore, killed func()) error {
			time.AfterFunc(20*time.Millisecond, killed)
			_, err := s.tryCall(2) // whose host function spins in the other store
			return err
		}},
		{"in a host call", func(r *rig, _, other *machineStore, killed func()) error {
			time.AfterFunc(20*time.Millisecond, killed)
			_, err := other.tryCall(2) // whose host function waits
			return err
		}},
		{"between", func(_ *rig, s, _ *machineStore, killed func()) error {
			killed()
			_, err := s.tryCall(1)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, e, p)
			var stores [2]*machineStore
			stores[0] = r.ran(0, answer(func(int32, *[plan.MaxValues]plan.Value, []byte) error {
				_, err := stores[1].tryCall(1)
				return err
			}))
			stores[1] = r.ran(1, answer(func(int32, *[plan.MaxValues]plan.Value, []byte) error {
				<-r.hosted.ctx.Done()
				return wasi.ErrKilled
			}))
			began := time.Now()
			if err := c.act(r, stores[0], stores[1], func() { began = time.Now(); r.cancel(); r.kill() }); !errors.Is(err, wasi.ErrKilled) {
				t.Errorf("ended with %v", err)
			}
			if took := time.Since(began); took > 5*time.Second { // BenchmarkKill has figures
				t.Errorf("it took %v", took)
			}
			if r.broken() != nil {
				t.Error(r.broken())
			}
		})
	}
}

// TestThreadsOfAMachine: a task that waits in a store has a thread of its own, others go on in
// other stores, and the guest's processor time is that of all.
func TestThreadsOfAMachine(t *testing.T) {
	e := newEngine(t)
	p := single(parts(t, `(module (import "" "" (func $f)) (func (export "host") (call $f))
		(func (export "spin") (param i32) (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`)[0],
		[]plan.Function{function(-1, none, none)}, "host", "spin")
	p.Stores = append(p.Stores, p.Stores[0])
	r := newRig(t, e, p)
	inside, release := make(chan struct{}), make(chan struct{})
	a := r.ran(0, answer(func(int32, *[plan.MaxValues]plan.Value, []byte) error {
		close(inside)
		<-release
		return nil
	}))
	b := r.ran(1, silent)
	var err error
	if err := r.Go(func() { _, err = a.tryCall(1) }); err != nil {
		t.Fatal(err)
	}
	<-inside
	before := r.shared.cpu()
	b.call(t, 2, 100_000_000)
	spent := r.shared.cpu() - before
	if spent < time.Millisecond {
		t.Errorf("the thread has used %v", spent)
	}
	close(release)
	r.threads.Wait()
	if err != nil {
		t.Error(err)
	}
	if err := r.Go(func() { b.call(t, 2, 100_000_000) }); err != nil {
		t.Fatal(err)
	}
	r.threads.Wait()
	if all := r.shared.cpu() - before; all < spent+time.Millisecond {
		t.Errorf("with a thread that has ended it is %v, and was %v", all, spent)
	}
}

// TestThreadsAreBounded: a guest has a bound of threads, and each takes one of the engine's slots.
func TestThreadsAreBounded(t *testing.T) {
	e := newEngine(t)
	r := newRig(t, e, single(parts(t, `(module)`)[0], nil))
	taken := e.slots.Taken()
	release := make(chan struct{})
	for i := range maxThreads {
		if err := r.Go(func() { <-release }); err != nil {
			t.Fatalf("thread %d: %v", i, err)
		}
	}
	if err := r.Go(func() {}); !errors.Is(err, errThreads) {
		t.Errorf("one more: %v", err)
	}
	if n := e.slots.Taken() - taken; n != maxThreads {
		t.Errorf("%d slots are taken", n)
	}
	close(release)
	r.threads.Wait()
	if n := e.slots.Taken(); n != taken {
		t.Errorf("%d slots are taken, and were %d", n, taken)
	}
}

// TestTwoThreadsInAStore: a mistake above ends the guest, not the process.
func TestTwoThreadsInAStore(t *testing.T) {
	e := newEngine(t)
	p := single(parts(t, `(module (import "" "" (func $f)) (func (export "host") (call $f)) (func (export "nothing")))`)[0],
		[]plan.Function{function(-1, none, none)}, "host", "nothing")
	r := newRig(t, e, p)
	inside, release := make(chan struct{}), make(chan struct{})
	s := r.ran(0, answer(func(int32, *[plan.MaxValues]plan.Value, []byte) error {
		close(inside)
		<-release
		return nil
	}))
	var waited error
	if err := r.Go(func() { _, waited = s.tryCall(1) }); err != nil {
		t.Fatal(err)
	}
	<-inside
	if _, err := s.tryCall(2); !errors.Is(err, errTwoThreads) {
		t.Errorf("another thread entered: %v", err)
	}
	close(release)
	r.threads.Wait()
	if waited != nil && !errors.Is(waited, errTwoThreads) { // it may have ended before it saw the kill
		t.Errorf("the first thread: %v", waited)
	}
	if _, err := s.tryCall(2); !errors.Is(err, errTwoThreads) || !errors.Is(r.broken(), errTwoThreads) {
		t.Errorf("the guest goes on: %v", err)
	}

	r2 := newRig(t, e, p)
	s2 := r2.ran(0, silent)
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := s2.tryCall(2); !errors.Is(err, errOtherThread) {
			t.Errorf("a thread that is not the guest's: %v", err)
		}
	})
	all.Wait()
}

// TestDeepStores: each store may use a stack of its own, of a thread that has one. A guest that
// goes deeper than that has a stack overflow, and the process none.
func TestDeepStores(t *testing.T) {
	e := newEngine(t)
	p := single(parts(t, `(module $deep (import "" "" (func $f)) (func $go (export "go") (param i32)
		(if (local.get 0) (then (call $go (i32.sub (local.get 0) (i32.const 1)))) (else (call $f)))
		(drop (i32.add (local.get 0) (i32.const 1)))))`)[0], []plan.Function{function(-1, none, none)}, "go")
	const stores, frames = 60, 5_000 // of 48 bytes or more
	for len(p.Stores) < stores {
		p.Stores = append(p.Stores, p.Stores[0])
	}
	r := newRig(t, e, p)
	list := make([]*machineStore, stores)
	reached := 0
	for i := range list {
		list[i] = r.ran(i, answer(func(int32, *[plan.MaxValues]plan.Value, []byte) error {
			reached = max(reached, i+1)
			if i+1 == stores {
				return nil
			}
			_, err := list[i+1].tryCall(1, frames)
			return err
		}))
	}
	if _, err := list[0].tryCall(1, frames); err == nil || err.Error() != "stack overflow" || reached < 4 {
		t.Errorf("it went through %d stores: %v", reached, err)
	}
	var own *machineStore
	own = r.ran(0, answer(func(int32, *[plan.MaxValues]plan.Value, []byte) error {
		_, err := own.tryCall(1, 0)
		return err
	}))
	if _, err := own.tryCall(1, 0); err == nil || !strings.HasPrefix(err.Error(), "stack overflow") {
		t.Errorf("through the host into the same store: %v", err)
	}
	if _, err := list[0].tryCall(1, 1_000_000); err == nil || !strings.HasPrefix(err.Error(), "stack overflow\nwasm backtrace:\n  0: go (component main, module deep") {
		t.Errorf("in one store: %v", err)
	}
}

// TestMachinesLeaveNothing: 10,000 instances come and go, and what they held is free again.
func TestMachinesLeaveNothing(t *testing.T) {
	e := newEngine(t)
	p, err := e.modules.plan(t.Context(), threeParts(t), maxMemory, false)
	if err != nil {
		t.Fatal(err)
	}
	once := func() {
		r, err := rigOf(t, e, p, maxMemory)
		if err != nil {
			t.Fatal(err)
		}
		s := r.ran(0, silent)
		s.call(t, threePartsRun)
		r.discard()
	}
	for range 200 {
		once()
	}
	before, areas := inMemory(t), mappings(t)
	n := 10_000
	if raceDetector {
		n = 500
	}
	for range n {
		once()
	}
	if grown := inMemory(t) - before; grown > 8<<20 {
		t.Errorf("%d bytes more are in memory", grown)
	}
	if grown := mappings(t) - areas; grown > 100 {
		t.Errorf("%d mappings more are there", grown)
	}
	storeHandles.mu.Lock()
	numbers := len(*storeHandles.list.Load()) - len(storeHandles.free)
	storeHandles.mu.Unlock()
	if numbers != 0 {
		t.Errorf("%d numbers are in use", numbers)
	}
	if users := p.users.Load(); users != 1 {
		t.Errorf("the plan has %d users", users)
	}
	parts := p.parts
	p.close()
	e.modules.mu.Lock()
	defer e.modules.mu.Unlock()
	for _, m := range parts {
		if s := e.modules.byKey[m.digest]; s != nil && s.users != 0 {
			t.Errorf("a module has %d users", s.users)
		}
	}
}

// inMemory returns how much memory the process has, in bytes, after what is garbage is gone.
func inMemory(t *testing.T) (bytes int64) {
	t.Helper()
	goruntime.GC()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func mappings(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// threeParts is a component as toolchains make them: a shim with a table, the main module, and what
// fills the table.
func threeParts(t testing.TB) *plan.Component {
	t.Helper()
	return &plan.Component{
		Modules: parts(t,
			`(module $shim (table (export "$imports") 1 1 funcref) (type $t (func (param i32) (result i32)))
				(func (export "0") (type $t) (call_indirect (type $t) (local.get 0) (i32.const 0))))`,
			`(module $main (import "host" "write" (func $write (param i32) (result i32))) (import "host" "exit" (func $exit))
				(memory (export "memory") 2) (global $sp (mut i32) (i32.const 1024)) (data (i32.const 100) "some text that is data")
				(func (export "realloc") (param i32 i32 i32 i32) (result i32) (if (i32.eq (memory.grow (i32.const 0)) (i32.const -1)) (then (unreachable))) (i32.const 2048))
				(func (export "tell") (param i32) (loop $l (call $exit) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
				(func (export "run") (drop (call $write (i32.const 100)))))`,
			`(module $fixup (import "" "0" (func $f (param i32) (result i32))) (import "" "$imports" (table 1 1 funcref)) (elem (i32.const 0) $f))`),
		Stores: []plan.Store{{
			Functions: []plan.Function{function(3, i32s(1), i32s(1)), function(-1, none, none)},
			Items:     8, Instances: 3,
			Steps: []plan.Step{
				{Op: plan.Instantiate, Module: 0, Instance: 0},
				{Op: plan.Export, Instance: 0, Name: "0", Item: 2},
				{Op: plan.Instantiate, Module: 1, Instance: 1, Args: []int32{2, 1}},
				{Op: plan.Export, Instance: 1, Name: "memory", Item: 3},
				{Op: plan.Export, Instance: 0, Name: "$imports", Item: 4},
				{Op: plan.Instantiate, Module: 2, Instance: 2, Args: []int32{0, 4}},
				{Op: plan.Export, Instance: 1, Name: "run", Item: threePartsRun},
				{Op: plan.Export, Instance: 1, Name: "realloc", Item: threePartsRealloc},
				{Op: plan.Export, Instance: 1, Name: "tell", Item: threePartsTell},
			},
		}},
		Order: []int32{0},
	}
}

// Items of threeParts.
const (
	threePartsRun     = 5
	threePartsRealloc = 6
	threePartsTell    = 7
)

// TestLimitOfAMachine: the limit of processor time holds for all threads and stores together.
// docs/security.md: "A component may have more threads, which are held back together."
func TestLimitOfAMachine(t *testing.T) {
	e := newEngine(t)
	p := single(parts(t, `(module (func (export "spin") (loop $l (br $l))))`)[0], nil, "spin")
	p.Stores = append(p.Stores, p.Stores[0])
	r := newRig(t, e, p)
	r.hosted.pace.Resize(200)
	r.shared.limit(true)
	a, b := r.ran(0, silent), r.ran(1, silent)
	began, before := time.Now(), r.shared.cpu()
	time.AfterFunc(2*time.Second, r.kill)
	var other error
	if err := r.Go(func() { _, other = b.tryCall(0) }); err != nil {
		t.Fatal(err)
	}
	_, err := a.tryCall(0)
	r.threads.Wait()
	if !errors.Is(err, wasi.ErrKilled) || !errors.Is(other, wasi.ErrKilled) {
		t.Errorf("ended with %v and %v", err, other)
	}
	share := 1000 * float64(r.shared.cpu()-before) / float64(time.Since(began))
	if share > 300 || r.hosted.pace.Throttled() == 0 { // what is saved at the start counts too
		t.Errorf("used %.0f thousandths of a processor", share)
	}
}
