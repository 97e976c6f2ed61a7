package wasmtime

import (
	"context"
	"errors"
	goruntime "runtime"
	"strings"
	"testing"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// answer is a host function for all numbers.
type answer func(function int32, values *[plan.MaxValues]plan.Value, memory []byte) error

func (f answer) Call(function int32, values *[plan.MaxValues]plan.Value, memory []byte) error {
	return f(function, values, memory)
}

// silent answers nothing.
var silent = answer(func(int32, *[plan.MaxValues]plan.Value, []byte) error { return nil })

func parts(t testing.TB, texts ...string) (all [][]byte) {
	t.Helper()
	for _, text := range texts {
		wasm, err := wasmtimego.Wat2Wasm(text)
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		all = append(all, wasm)
	}
	return all
}

// rig is a machine in a test, on the test's own thread.
type rig struct {
	*machine
	t       testing.TB
	account *account
	hosted  *hosted
	cancel  context.CancelFunc
	end     func()
}

// tryRig makes a machine by a plan. limit is of its memory, in bytes.
func tryRig(t testing.TB, e *Engine, data *plan.Component, limit int64) (*rig, error) {
	t.Helper()
	p, err := e.modules.plan(t.Context(), data, limit, false)
	if err != nil {
		return nil, err
	}
	defer p.close()
	return rigOf(t, e, p, limit)
}

func rigOf(t testing.TB, e *Engine, p *componentPlan, limit int64) (*rig, error) {
	t.Helper()
	a, err := newAccount(limit)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &hosted{ctx: ctx, pace: processor.NewPace(e.turns, 0)}
	m, err := e.newMachine(p, h, a, false)
	if err != nil {
		cancel()
		a.close()
		return nil, err
	}
	goruntime.LockOSThread()
	r := &rig{machine: m, t: t, account: a, hosted: h, cancel: cancel}
	if r.end, err = m.Thread(); err != nil {
		t.Fatal(err)
	}
	e.ticker.Acquire()
	return r, nil
}

func newRig(t testing.TB, e *Engine, data *plan.Component) *rig {
	t.Helper()
	r, err := tryRig(t, e, data, maxMemory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.discard)
	return r
}

func (r *rig) discard() {
	r.threads.Wait()
	r.end()
	goruntime.UnlockOSThread()
	r.close()
	r.engine.ticker.Release()
	r.cancel()
	if used := r.account.used(); used != 0 {
		r.t.Errorf("%d bytes of the account are not given back", used)
	}
	r.account.close()
}

func (r *rig) store(number int, calls planCalls) *machineStore {
	r.t.Helper()
	s, err := r.NewStore(number, calls)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// ran is a store whose steps are carried out.
func (r *rig) ran(number int, calls planCalls) *machineStore {
	r.t.Helper()
	s := r.store(number, calls)
	if err := s.Run(); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// call calls a function with these values, and returns the first that it gives.
func (s *machineStore) call(t testing.TB, item int32, args ...uint64) uint64 {
	t.Helper()
	v, err := s.tryCall(item, args...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s *machineStore) tryCall(item int32, args ...uint64) (uint64, error) {
	var values [plan.MaxValues]plan.Value
	for i, a := range args {
		values[i].Bits = a
	}
	err := s.Call(item, values[:])
	return values[0].Bits, err
}

// single is a plan of one store with one module, that gets all functions and gives exports as the
// items behind them.
func single(wasm []byte, functions []plan.Function, exports ...string) *plan.Component {
	s := plan.Store{Name: "main", Functions: functions, Items: len(functions) + len(exports), Instances: 1}
	step := plan.Step{Op: plan.Instantiate}
	for i := range functions {
		step.Args = append(step.Args, int32(i))
	}
	s.Steps = append(s.Steps, step)
	for i, name := range exports {
		s.Steps = append(s.Steps, plan.Step{Op: plan.Export, Name: name, Item: int32(len(functions) + i)})
	}
	return &plan.Component{Modules: [][]byte{wasm}, Stores: []plan.Store{s}, Order: []int32{0}}
}

func function(memory int32, params, results []types.Core) plan.Function {
	return plan.Function{Params: params, Results: results, Memory: memory}
}

var (
	i32s = func(n int) []types.Core { return make([]types.Core, n) } // I32 is 0
	none []types.Core
)

// TestPlanIsCarriedOut: instances import from each other and from the host, in two turns.
func TestPlanIsCarriedOut(t *testing.T) {
	e := newEngine(t)
	p := &plan.Component{
		Modules: parts(t, `(module $library (memory (export "memory") 1) (global (export "base") i32 (i32.const 1000))
			(table (export "table") 2 funcref) (elem (i32.const 0) $double)
			(func $double (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))`,
			`(module $main (import "host" "add" (func $add (param i32 i64 f32 f64) (result i64)))
			(import "library" "memory" (memory 1)) (import "library" "base" (global $base i32)) (import "library" "table" (table 2 funcref))
			(import "library" "double" (func $double (param i32) (result i32))) (type $f (func (param i32) (result i32)))
			(data (i32.const 8) "hello")
			(func (export "sum") (param i32) (result i64)
				(i32.store (i32.const 0) (local.get 0))
				(call $add (i32.add (global.get $base) (call $double (local.get 0)))
					(i64.extend_i32_u (call_indirect (type $f) (i32.const 21) (i32.const 0))) (f32.const 0.5) (f64.const -1.5))))`),
		Stores: []plan.Store{{
			Functions: []plan.Function{function(1, []types.Core{types.I32, types.I64, types.F32Core, types.F64Core}, []types.Core{types.I64})},
			Items:     6, Instances: 2,
			Steps: []plan.Step{
				{Op: plan.Instantiate, Module: 0, Instance: 0},
				{Op: plan.Export, Instance: 0, Name: "memory", Item: 1},
				{Op: plan.Export, Instance: 0, Name: "base", Item: 2},
				{Op: plan.Export, Instance: 0, Name: "table", Item: 3},
				{Op: plan.Export, Instance: 0, Name: "double", Item: 4},
				{Op: plan.Stop},
				{Op: plan.Instantiate, Module: 1, Instance: 1, Args: []int32{0, 1, 2, 3, 4}},
				{Op: plan.Export, Instance: 1, Name: "sum", Item: 5},
			},
		}},
		Order: []int32{0, 0},
	}
	r := newRig(t, e, p)
	var got [4]uint64
	var said string
	s := r.store(0, answer(func(f int32, v *[plan.MaxValues]plan.Value, memory []byte) error {
		for i := range got {
			got[i] = v[i].Bits
		}
		said = string(memory[8:13])
		memory[16] = 7
		v[0].Bits = v[0].Bits + v[1].Bits
		return nil
	}))
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	if v := s.call(t, 4, 4); uint32(v) != 8 {
		t.Errorf("double(4) is %d after the first turn", uint32(v))
	}
	if _, err := s.tryCall(5, 1); err == nil || !strings.Contains(err.Error(), "an item that is not there") {
		t.Errorf("an export of the next turn: %v", err)
	}
	for range 2 { // a turn more than there are does nothing
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
	}
	within := struct {
		other  *int
		values [plan.MaxValues]plan.Value
	}{other: new(int)}
	within.values[0].Bits = 8
	if err := s.Call(4, within.values[:]); err != nil || uint32(within.values[0].Bits) != 16 {
		t.Errorf("values that are part of something with pointers: %d, %v", within.values[0].Bits, err)
	}
	if err := s.Call(4, nil); err == nil {
		t.Error("a call without values that has some")
	}
	const large = uint64(1)<<32 - 5 // -5 as an i32
	if v := s.call(t, 5, large); v != uint64(uint32(1000-10))+42 {
		t.Errorf("sum is %d", v)
	}
	if want := [4]uint64{990, 42, 0x3f000000, 0xbff8000000000000}; got != want || said != "hello" {
		t.Errorf("the host got %x, and %q", got, said)
	}
	if m := s.Memory(1); len(m) != 64<<10 || m[16] != 7 || m[0] != 0xfb {
		t.Errorf("%d bytes of memory, % x", len(m), m[:20])
	}
	if m := s.Memory(5); m != nil {
		t.Errorf("a function has %d bytes of memory", len(m))
	}
}

// TestUpperHalvesAreZero: the upper half of a parameter with 32 bits is not the guest's to choose.
func TestUpperHalvesAreZero(t *testing.T) {
	e := newEngine(t)
	wasm := parts(t, `(module (import "" "" (func $f (param i32 f32 i64)))
		(func (export "go") (param i64) (call $f (i32.wrap_i64 (local.get 0)) (f32.const -1) (local.get 0))))`)[0]
	r := newRig(t, e, single(wasm, []plan.Function{function(-1, []types.Core{types.I32, types.F32Core, types.I64}, nil)}, "go"))
	var got [3]uint64
	s := r.ran(0, answer(func(_ int32, v *[plan.MaxValues]plan.Value, _ []byte) error {
		got = [3]uint64{v[0].Bits, v[1].Bits, v[2].Bits}
		return nil
	}))
	s.call(t, 1, 0xdeadbeefffffffff)
	if want := [3]uint64{0xffffffff, 0xbf800000, 0xdeadbeefffffffff}; got != want {
		t.Errorf("got %x", got)
	}
}

// TestErrorsOfTheHostEndTheCall: the error itself comes out, also through several calls, and the
// store can be called again.
func TestErrorsOfTheHostEndTheCall(t *testing.T) {
	e := newEngine(t)
	wasm := parts(t, `(module (import "" "" (func $f (param i32))) (func (export "go") (param i32) (call $f (local.get 0))))`)[0]
	p := single(wasm, []plan.Function{function(-1, i32s(1), none)}, "go")
	p.Stores[0].Functions[0].Name = "wasi:test/host#fail"
	r := newRig(t, e, p)
	wrong := errors.New("wrong")
	var s *machineStore
	s = r.store(0, answer(func(_ int32, v *[plan.MaxValues]plan.Value, _ []byte) error {
		switch v[0].Bits {
		case 0:
			return wrong
		case 1:
			panic("a bug")
		case 2:
			_, err := s.tryCall(1, 0)
			return err
		}
		return nil
	}))
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[uint64]string{0: "wrong", 2: "wrong", 1: "internal error in host call wasi:test/host#fail: a bug"} {
		_, err := s.tryCall(1, n)
		if err == nil || err.Error() != want || (n != 1 && !errors.Is(err, wrong)) {
			t.Errorf("%d: %v", n, err)
		}
		if n == 1 && panicked(err) == nil {
			t.Errorf("%v has no stack", err)
		}
	}
	s.call(t, 1, 3)
	if n := e.HostCalls()["wasi:test/host#fail"]; n != 5 {
		t.Errorf("%d calls are counted", n)
	}
	s.Close()
	s.Close()
	if n := e.HostCalls()["wasi:test/host#fail"]; n != 5 {
		t.Errorf("%d calls are counted when the store is closed", n)
	}
}

// TestStoresCallEachOther: A calls the host, which calls B, which calls the host, which calls A. A
// trap in B names B's module, and ends A's call.
func TestStoresCallEachOther(t *testing.T) {
	e := newEngine(t)
	wasm := parts(t, `(module $ping (import "" "" (func $f (param i32) (result i32))) (func $go (export "go") (param i32) (result i32)
		(if (i32.eqz (local.get 0)) (then (unreachable)))
		(if (i32.eq (local.get 0) (i32.const 1)) (then (return (i32.const 5))))
		(i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 2))))))`)[0]
	p := single(wasm, []plan.Function{function(-1, i32s(1), i32s(1))}, "go")
	p.Stores = append(p.Stores, p.Stores[0])
	p.Stores[0].Name, p.Stores[1].Name = "", "the \x01other"
	p.Order = []int32{0, 1}
	r := newRig(t, e, p)
	var stores [2]*machineStore
	for i := range stores {
		stores[i] = r.ran(i, answer(func(_ int32, v *[plan.MaxValues]plan.Value, _ []byte) error {
			return stores[1-i].Call(1, v[:1])
		}))
	}
	if v := stores[0].call(t, 1, 21); uint32(v) != 15 {
		t.Errorf("got %d", uint32(v))
	}
	_, err := stores[0].tryCall(1, 2)
	want := "unreachable instruction executed\nwasm backtrace:\n  0: go (component the \\u{1}other, module ping, function 1, at 0x"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a trap in the other store: %v", err)
	}
	_, err = stores[0].tryCall(1, 4)
	want = strings.Replace(want, "the \\u{1}other", "0", 1)
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a trap in the first store: %v", err)
	}
}
