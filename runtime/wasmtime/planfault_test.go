package wasmtime

import (
	"errors"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// TestWrongPlans: a plan that cannot be carried out is an error, not a fault of the process.
func TestWrongPlans(t *testing.T) {
	e := newEngine(t)
	wasm := parts(t, `(module (memory (export "memory") 1) (func (export "f")))`)[0]
	for _, c := range []struct {
		name, want string
		change     func(p *plan.Component, s *plan.Store)
	}{
		{"a module", "module 1 of 1", func(_ *plan.Component, s *plan.Store) { s.Steps[0].Module = 1 }},
		{"a module below 0", "module -1 of 1", func(_ *plan.Component, s *plan.Store) { s.Steps[0].Module = -1 }},
		{"an instance", "step 0 has instance 7 of 1", func(_ *plan.Component, s *plan.Store) { s.Steps[0].Instance = 7 }},
		{"an instance twice", "makes instance 0 again", func(_ *plan.Component, s *plan.Store) { s.Steps = append(s.Steps, s.Steps[0]) }},
		{"an export before its instance", "step 0 takes an export of instance 0", func(_ *plan.Component, s *plan.Store) { s.Steps = s.Steps[1:] }},
		{"an item", "step 1 makes item 9 of 2", func(_ *plan.Component, s *plan.Store) { s.Steps[1].Item = 9 }},
		{"an item twice", "step 2 makes item 0 of 2, or makes it again", func(_ *plan.Component, s *plan.Store) { s.Steps[2].Item = 0 }},
		{"an import that is not made", "item 1 is imported", func(_ *plan.Component, s *plan.Store) { s.Steps[0].Args = []int32{1} }},
		{"an import below 0", "item -1 is imported", func(_ *plan.Component, s *plan.Store) { s.Steps[0].Args = []int32{-1} }},
		{"a kind of step", "step 0 is of kind 9", func(_ *plan.Component, s *plan.Store) { s.Steps[0].Op = 9 }},
		{"more functions than items", "3 functions among 2 items", func(_ *plan.Component, s *plan.Store) { s.Functions = make([]plan.Function, 3) }},
		{"too many parameters", "a function has 18 parameters", func(_ *plan.Component, s *plan.Store) {
			s.Functions, s.Items = []plan.Function{function(-1, i32s(18), none)}, 3
		}},
		{"a type", "values of kind 4", func(_ *plan.Component, s *plan.Store) {
			s.Functions, s.Items = []plan.Function{function(-1, []types.Core{4}, none)}, 3
		}},
		{"a memory", "item 0 as its memory", func(_ *plan.Component, s *plan.Store) {
			s.Functions, s.Items = []plan.Function{function(0, none, none)}, 3
		}},
		{"a turn", "store 1 of 1 has a turn", func(p *plan.Component, _ *plan.Store) { p.Order = []int32{1} }},
		{"items below 0", "-1 items", func(_ *plan.Component, s *plan.Store) { s.Items = -1 }},
		{"too many items", "200001 items", func(_ *plan.Component, s *plan.Store) { s.Items = plan.MaxItems + 1 }},
		{"too many stores", "and may have 1000", func(p *plan.Component, _ *plan.Store) { p.Stores = make([]plan.Store, 1001) }},
		{"too many instances", "the component has 1200 core instances, and may have 1000", func(p *plan.Component, _ *plan.Store) {
			p.Stores = []plan.Store{{Instances: 600}, {Instances: 600}}
		}},
		{"too many modules", "300 core modules, and may have 256", func(p *plan.Component, _ *plan.Store) { p.Modules = make([][]byte, 300) }},
		{"too many memories", "101 memories", func(_ *plan.Component, s *plan.Store) {
			*s = plan.Store{Instances: 101}
			for i := range s.Instances {
				s.Steps = append(s.Steps, plan.Step{Op: plan.Instantiate, Instance: int32(i)})
			}
		}},
		{"no module", "module 0 of the component", func(p *plan.Component, _ *plan.Store) { p.Modules[0] = []byte("no module") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := single(wasm, nil, "f", "memory")
			c.change(p, &p.Stores[0])
			r, err := tryRig(t, e, p, maxMemory)
			if err == nil {
				r.discard()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestWrongUse: what is asked of a store and cannot be is an error, not a fault of the process.
func TestWrongUse(t *testing.T) {
	e := newEngine(t)
	p := single(parts(t, `(module (memory (export "memory") 1) (global (export "g") i32 (i32.const 0))
		(func (export "three") (param i32 i64 f64)) (func (export "many") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32))
		(func (export "vector") (param v128)) (func (export "reference") (result externref) (ref.null extern))
		(func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
		(func (export "like") (param i32 i64 i32 i32) (result i32) (i32.const 64)))`)[0],
		nil, "memory", "g", "three", "many", "vector", "reference", "realloc", "like", "not there")
	r := newRig(t, e, p)
	s := r.store(0, silent)
	before, err := s.tryCall(2)
	if err == nil || !strings.Contains(err.Error(), "an item that is not there") || before != 0 {
		t.Errorf("a call before the steps: %v", err)
	}
	if err := s.Run(); err == nil || !strings.HasSuffix(err.Error(), "an export that is not there") {
		t.Errorf("an export that is not there: %v", err)
	}
	if err := s.Run(); err == nil || !strings.HasSuffix(err.Error(), "a step has failed before") {
		t.Errorf("run again: %v", err)
	}
	for item, want := range map[int32]string{
		-1: "not there", 100: "not there", 8: "not there", 0: "another kind", 1: "another kind", 3: "another type", 4: "another type", 5: "another type",
	} {
		if _, err := s.tryCall(item); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("call of item %d: %v", item, err)
		}
	}
	if err := s.Call(2, make([]plan.Value, 2)); err == nil || !strings.Contains(err.Error(), "more values than there is room for") {
		t.Errorf("too little room: %v", err)
	}
	if err := s.Call(2, make([]plan.Value, 3)); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		function, memory int32
		want             string
	}{{7, 0, "another type"}, {2, 0, "another type"}, {0, 0, "another kind"}, {6, 6, "another kind"}, {6, 99, "not there"}} {
		if _, _, err := s.Realloc(c.function, c.memory, 0, 0, 1, 8); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("realloc %v: %v", c, err)
		}
	}
	if at, memory, err := s.Realloc(6, 0, 0, 0, 1, 8); at != 64 || len(memory) != 64<<10 || err != nil {
		t.Errorf("%d, %d bytes, %v", at, len(memory), err)
	}
	for _, item := range []int32{-1, 99, 2, 8} {
		if m := s.Memory(item); m != nil {
			t.Errorf("item %d has %d bytes", item, len(m))
		}
	}
	if _, err := r.NewStore(1, silent); err == nil {
		t.Error("a store that is not there")
	}
	if r.broken() != nil {
		t.Errorf("the guest is killed: %v", r.broken())
	}
}

// TestImportsOfAnotherType: the engine compares what a step gives with what the module wants.
func TestImportsOfAnotherType(t *testing.T) {
	e := newEngine(t)
	for _, text := range []string{
		`(module (import "" "" (func (param i64))))`, `(module (import "" "" (memory 1)))`, `(module)`,
		`(module (import "" "" (func (param i32))) (import "" "" (func)))`,
	} {
		r := newRig(t, e, single(parts(t, text)[0], []plan.Function{function(-1, i32s(1), none)}))
		if err := r.store(0, silent).Run(); err == nil || errors.As(err, new(*plan.Error)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestPartsWithObjects: objects and exceptions pass between instances of a store, whose heap is
// none of the memories that the plan has.
func TestPartsWithObjects(t *testing.T) {
	if !supported() {
		t.Log("this library has no garbage collection")
		return
	}
	e := newEngine(t)
	p := single(parts(t, `(module (type $s (struct (field i32))) (func (export "f") (param i32) (result (ref $s)) (struct.new $s (local.get 0)))
		(func (export "get") (param (ref $s)) (result i32) (struct.get $s 0 (local.get 0))))`)[0], nil, "f", "get", "run")
	p.Modules = append(p.Modules, parts(t, `(module (type $s (struct (field i32))) (import "" "f" (func $f (param i32) (result (ref $s))))
		(import "" "get" (func $get (param (ref $s)) (result i32))) (func (export "run") (param i32) (result i32) (call $get (call $f (local.get 0)))))`)...)
	p.Stores[0].Instances = 2
	p.Stores[0].Steps = append(p.Stores[0].Steps[:3], plan.Step{Op: plan.Instantiate, Module: 1, Instance: 1, Args: []int32{0, 1}},
		plan.Step{Op: plan.Export, Instance: 1, Name: "run", Item: 2})
	r := newRig(t, e, p)
	s := r.ran(0, silent)
	if v := s.call(t, 2, 42); uint32(v) != 42 {
		t.Errorf("got %d", uint32(v))
	}
	if _, err := s.tryCall(1, 0x1234); err == nil || !strings.Contains(err.Error(), "another type") {
		t.Errorf("a forged reference: %v", err)
	}
	if r.shared.native.heap == 0 {
		t.Error("its objects do not count")
	}
}

// numbersOf reads small numbers, most of them from 0 to 7, and some far outside.
type numbersOf []byte

func (b *numbersOf) next() int32 {
	if len(*b) == 0 {
		return 0
	}
	n := (*b)[0]
	*b = (*b)[1:]
	switch {
	case n == 255:
		return 1 << 30
	case n >= 248:
		return -int32(n - 247)
	}
	return int32(n % 8)
}

// FuzzPlan: whatever a plan says, and whatever is called by it, ends in results or errors.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 1, 0, 4, 1, 0, 0, 2, 1, 0, 1, 3, 0, 1, 1, 2, 0, 0, 1, 1, 2, 3, 4, 5})
	f.Add([]byte{1, 1, 1, 7, 2, 0, 0, 1, 0, 1, 0, 1, 1, 1, 0, 2, 2, 0, 3, 1, 1, 0, 2, 1, 1, 4, 3, 2, 1})
	modules := parts(f, `(module (memory (export "memory") 1) (global (export "global") (mut i32) (i32.const 1)) (table (export "table") 1 funcref)
			(func (export "f") (param i32) (result i32) (local.get 0)))`,
		`(module (import "" "" (func $f (param i32) (result i32))) (func (export "f") (result i32) (call $f (i32.const 1))))`,
		`(module (import "" "" (memory 1)) (export "memory" (memory 0)) (func $start (i32.store (i32.const 0) (i32.const 1))) (start $start))`,
		`(module (import "" "" (func (param i32) (result i32))) (import "" "" (table 1 funcref)) (export "table" (table 0)) (export "f" (func 0)) (elem (i32.const 0) 0))`,
		`(module (memory (export "memory") 1) (func (export "f") (param i32 i32 i32 i32) (result i32) (memory.grow (i32.const 1))))`,
		`(module (func $start unreachable) (start $start))`)
	names := []string{"memory", "f", "table", "global", "", "f\x00", "krustlet:grow", "krustlet:start"}
	e := newEngine(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		in := numbersOf(data)
		few := func() int { return min(max(int(in.next()), 0), 20) }
		s := plan.Store{Items: int(in.next()), Instances: int(in.next())}
		for range few() {
			s.Functions = append(s.Functions, function(in.next(), i32s(few()), i32s(few())))
		}
		for range few() {
			step := plan.Step{Op: plan.Op(in.next()), Module: in.next(), Instance: in.next(), Item: in.next(), Name: names[max(in.next(), 0)%8]}
			for range few() % 4 {
				step.Args = append(step.Args, in.next())
			}
			s.Steps = append(s.Steps, step)
		}
		r, err := tryRig(t, e, &plan.Component{Modules: modules, Stores: []plan.Store{s}, Order: []int32{0}}, maxMemory)
		if err != nil {
			return
		}
		defer goruntime.UnlockOSThread()
		defer r.discard()
		store := r.store(0, silent)
		for range 4 {
			_ = store.Run()
			item := in.next()
			_, _ = store.tryCall(item, 1, 2, 3)
			_, _, _ = store.Realloc(item, in.next(), 0, 0, 1, 1)
			store.Memory(item)
		}
	})
}
