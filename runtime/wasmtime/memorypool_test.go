package wasmtime

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
)

// pooledPlan is a plan whose machines take their memories from the pool.
func pooledPlan(t testing.TB, e *Engine, data *plan.Component) *componentPlan {
	t.Helper()
	if !supported() {
		t.Skip("the linked library has no pool: see make engine")
	}
	p, err := e.modules.programPlan(t.Context(), data, maxMemory, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// dirty keeps what it is given, in all that an instance has, and returns what was there before.
const dirty = `(module (memory (export "memory") 2 64) (table $t 8 64 funcref) (global $g (mut i32) (i32.const 5))
	(data (i32.const 70000) "\11\22\33\44") (elem declare func $f)
	(func $f)
	(func (export "dirty") (param $at i32) (param $with i32) (result i32) (local $sum i32)
		(local.set $sum (i32.xor (i32.load (local.get $at)) (global.get $g)))
		(local.set $sum (i32.add (local.get $sum) (i32.mul (i32.const 1000) (i32.eqz (ref.is_null (table.get $t (i32.const 3)))))))
		(local.set $sum (i32.add (local.get $sum) (i32.mul (i32.const 100000) (i32.sub (memory.size) (i32.const 2)))))
		(local.set $sum (i32.add (local.get $sum) (i32.mul (i32.const 10000000) (i32.sub (table.size $t) (i32.const 8)))))
		(drop (memory.grow (i32.const 3)))
		(drop (table.grow $t (ref.func $f) (i32.const 2)))
		(table.set $t (i32.const 3) (ref.func $f))
		(global.set $g (local.get $with))
		(i32.store (local.get $at) (local.get $with))
		(i32.store (i32.const 300000) (local.get $with))
		(local.get $sum))
	(func (export "late") (result i32) (drop (memory.grow (i32.const 3))) (i32.load (i32.const 300000))))`

// TestPoolShowsNothingOfOthers: an instance that gets memory, tables or pages that another one has
// had finds them as its module says.
func TestPoolShowsNothingOfOthers(t *testing.T) {
	e := newEngine(t)
	p := pooledPlan(t, e, single(parts(t, dirty)[0], nil, "memory", "dirty", "late"))
	const image = 0x44332211
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for k := range 50 {
				at, want := uint64(8*k), uint64(5)
				if k%3 == 0 {
					at, want = 70000, image^5
				}
				r, err := rigOf(t, e, p, maxMemory)
				if err != nil {
					t.Error(err)
					return
				}
				s := r.ran(0, silent)
				if late := s.call(t, 2); k%2 == 0 && uint32(late) != 0 {
					t.Errorf("memory behind that of the start holds %#x", late)
				}
				s.Close()
				s = r.ran(0, silent)
				if got := s.call(t, 1, at, uint64(0xDEAD0000+i)); uint32(got) != uint32(want) {
					t.Errorf("a new instance has %#x at %d, want %#x", got, at, want)
				}
				s.Close()
				r.discard()
			}
		})
	}
	all.Wait()
	if used := e.pool.used; used != (poolShare{}) {
		t.Errorf("the pool has %+v in use", used)
	}
}

// TestPoolIsBounded: what does not fit into the pool is made without it, and one that is full says
// so.
func TestPoolIsBounded(t *testing.T) {
	e := newEngine(t)
	if p := pooledPlan(t, e, threeParts(t)); p.pool == nil || p.engine == e.native {
		t.Error("a small component is made without the pool")
	}
	const heap = `(module (type $s (struct (field i32))) (func (export "run") (param i32) (result i32)
		(struct.get $s 0 (struct.new $s (local.get 0)))))`
	p := pooledPlan(t, e, single(parts(t, heap)[0], nil, "run"))
	if p.pool != nil {
		t.Error("a component with a heap of objects has memories of the pool")
	}
	r, err := rigOf(t, e, p, maxMemory)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.ran(0, silent).call(t, 0, 7); got != 7 {
		t.Errorf("it returns %d", got)
	}
	r.discard()

	pool := newMemoryPool(zap.NewNop())
	share := poolShare{instances: 2, memories: 3, tables: 1}
	n := 0
	for pool.take(share) == nil {
		n++
	}
	if n != poolMemories/3 {
		t.Errorf("%d machines with 3 memories fit", n)
	}
	pool.give(share)
	if err := pool.take(share); err != nil {
		t.Errorf("what was given back cannot be taken: %v", err)
	}
	if err := pool.take(share); !errors.Is(err, errPool) {
		t.Errorf("a full pool says %v", err)
	}
}

// TestPoolGivesPagesBack: of the memory that instances have used, little stays.
func TestPoolGivesPagesBack(t *testing.T) {
	e := newEngine(t)
	const large = `(module (memory (export "memory") 1 1024)
		(func (export "fill") (param $pages i32) (result i32)
			(drop (memory.grow (local.get $pages)))
			(memory.fill (i32.const 0) (i32.const 1) (i32.mul (memory.size) (i32.const 65536))) (memory.size)))`
	p := pooledPlan(t, e, single(parts(t, large)[0], nil, "memory", "fill"))
	const many, pages = 40, 320 // 20 MiB each
	before := residentNow(t)
	var rigs []*rig
	for range many {
		r, err := rigOf(t, e, p, maxMemory)
		if err != nil {
			t.Fatal(err)
		}
		r.ran(0, silent).call(t, 1, pages-1)
		rigs = append(rigs, r)
	}
	full := residentNow(t)
	for i := range rigs {
		rigs[len(rigs)-1-i].discard()
	}
	after := residentNow(t)
	if full-before < many*pages*wasmPage*9/10 {
		t.Fatalf("the instances take %d bytes: the test does not fill them", full-before)
	}
	if most := int64(poolWarm*poolResident + 32<<20); after-before > most {
		t.Errorf("%d bytes stay, and may be %d", after-before, most)
	}
}

// residentNow is how many bytes of this process are resident.
func residentNow(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n * int64(os.Getpagesize())
}
