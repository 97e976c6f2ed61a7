package wasmtime

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// programs use one proposal each, and exit with 0 if it works correctly.
var programs = map[translate.Feature]string{
	translate.MutableGlobals:       `(global $g (export "g") (mut i32) (i32.const 0)) (func (export "_start") (global.set $g (i32.const 1)))`,
	translate.SignExtension:        `(func (export "_start") (if (i32.ne (i32.extend8_s (i32.const 0x80)) (i32.const -128)) (then unreachable)))`,
	translate.SaturatingFloatToInt: `(func (export "_start") (if (i32.trunc_sat_f32_s (f32.const nan)) (then unreachable)))`,
	translate.MultiValue: `(func $two (result i32 i32) (i32.const 7) (i32.const 7))
		(func (export "_start") (if (i32.ne (call $two)) (then unreachable)))`,
	translate.BulkMemory: `(func (export "_start") (memory.fill (i32.const 0) (i32.const 1) (i32.const 4))
		(if (i32.ne (i32.load (i32.const 0)) (i32.const 0x01010101)) (then unreachable)))`,
	translate.ReferenceTypes: `(table 1 externref) (func (export "_start")
		(if (i32.eqz (ref.is_null (table.get 0 (i32.const 0)))) (then unreachable)))`,
	translate.SIMD: `(func (export "_start") (if (i32.ne (i32x4.extract_lane 3 (i32x4.splat (i32.const 5))) (i32.const 5)) (then unreachable)))`,
	translate.TailCalls: `(func $down (param i32) (if (local.get 0) (then (return_call $down (i32.sub (local.get 0) (i32.const 1))))))
		(func (export "_start") (call $down (i32.const 1000000)))`,
	translate.ExtendedConstants: `(global $g i32 (i32.add (i32.const 3) (i32.const 4)))
		(func (export "_start") (if (i32.ne (global.get $g) (i32.const 7)) (then unreachable)))`,
	translate.ExceptionHandling: `(tag $e (param i32)) (func $f (throw $e (i32.const 42)))
		(func (export "_start") (if (i32.ne (block $caught (result i32) (try_table (catch $e $caught) (call $f)) (i32.const 0)) (i32.const 42)) (then unreachable)))`,
	translate.TypedFunctionReferences: `(type $t (func (result i32))) (func $f (type $t) (i32.const 9)) (elem declare func $f)
		(func (export "_start") (if (i32.ne (call_ref $t (ref.func $f)) (i32.const 9)) (then unreachable)))`,
	translate.GC: `(type $s (struct (field (mut i32)))) (type $a (array (mut i8)))
		(func (export "_start") (local $s (ref null $s)) (local $a (ref null $a)) (local $n i32)
			(local.set $s (struct.new $s (i32.const 5)))
			(loop $more (local.set $a (array.new $a (i32.const 1) (i32.const 10000)))
				(br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10000))))
			(if (i32.ne (struct.get $s 0 (local.get $s)) (i32.const 5)) (then unreachable)))`,
	translate.MultiMemory: `(memory $b 1) (func (export "_start") (i32.store $b (i32.const 0) (i32.const 3))
		(if (i32.ne (i32.load $b (i32.const 0)) (i32.add (i32.const 3) (i32.load (i32.const 0)))) (then unreachable)))`,

	translate.Memory64: `(memory $b i64 1) (func (export "_start") (drop (memory.grow $b (i64.const 100000))))`,
	translate.Threads: `(func (export "_start") (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 5))) (atomic.fence)
		(if (i32.ne (i32.atomic.load (i32.const 0)) (i32.const 5)) (then unreachable)))`,
	translate.SharedMemory:   `(memory $b 1 1 shared) (func (export "_start"))`,
	translate.RelaxedSIMD:    `(func (export "_start") (drop (i32x4.relaxed_trunc_f32x4_s (v128.const i32x4 0 0 0 0))))`,
	translate.WideArithmetic: `(func (export "_start") (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) drop drop)`,
	translate.StackSwitching: `(type $f (func)) (type $c (cont $f)) (elem declare func 0)
		(func (export "_start") (drop (cont.new $c (ref.func 0))))`,
	translate.CustomPageSizes:  `(memory $b 1 (pagesize 1)) (func (export "_start"))`,
	translate.LegacyExceptions: `(func (export "_start") try nop catch_all nop end)`,
}

// TestFeatures: a program with each proposal runs, or is refused with a message that names the
// proposal and the build that would run it.
func TestFeatures(t *testing.T) {
	e := newEngine(t)
	for _, f := range translate.All() {
		t.Run(f.String(), func(t *testing.T) {
			text, ok := programs[f]
			if !ok {
				t.Fatal("no program")
			}
			r, err := tryStart(t, e, wat(t, `(module (memory (export "memory") 1) `+text+`)`), runtime.Spec{MemoryLimit: 16 << 20})
			if features().Has(f) {
				if err != nil {
					t.Fatal(err)
				}
				if exit := r.wait(); exit.Code != 0 {
					t.Errorf("exit %+v", exit)
				}
				return
			}
			want := "a build with `make engine` has it"
			if f.Never() {
				want = "no build of this program has it"
			}
			if err == nil || !strings.Contains(err.Error(), f.String()+" is off with this engine") || !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestDocumentedFeatures: docs/engine.md has the table.
func TestDocumentedFeatures(t *testing.T) {
	text, err := os.ReadFile("../../docs/engine.md")
	if err != nil {
		t.Fatal(err)
	}
	state := map[bool]string{true: "on", false: "off"}
	for _, f := range translate.All() {
		bundled := translate.Finished.Without(notBundled...)
		row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(f.String()) + ` \| ` + state[translate.Finished.Has(f)] + ` \| ` + state[bundled.Has(f)] + ` \| .+ \|$`)
		if !row.Match(text) {
			t.Errorf("no row %v", row)
		}
	}
}

// TestHeapOfObjectsCounts: objects count as the guest's memory and are subject to its limit.
func TestHeapOfObjectsCounts(t *testing.T) {
	if !supported() {
		t.Log("this library has no garbage collection")
		return
	}
	e := newEngine(t)
	list := `(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32))) (memory (export "memory") 1)
		(type $a (array (mut i8))) (type $l (struct (field (ref null $l)) (field (ref $a))))
		(func (export "_start") (local $list (ref null $l)) (local $n i32)
			(loop $more (local.set $list (struct.new $l (local.get $list) (array.new $a (i32.const 1) (i32.const 100000))))
				(br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const COUNT))))
			(loop $spin (drop (call $yield)) (br $spin))))`
	r := start(t, e, wat(t, strings.ReplaceAll(list, "COUNT", "100")), runtime.Spec{MemoryLimit: 64 << 20})
	eventually.True(t, "ten megabytes of objects count", func() bool { return r.process.Stats().Memory > 10_000_000 })
	r.process.Stop(0)
	r.wait()
	r = start(t, e, wat(t, strings.ReplaceAll(list, "COUNT", "1000000")), runtime.Spec{MemoryLimit: 64 << 20})
	if exit := r.wait(); exit.Reason != runtime.OOMKilled {
		t.Errorf("exit %+v", exit)
	}
}

// TestExplain: explain does not change other errors.
func TestExplain(t *testing.T) {
	if err := errors.New("another"); explain(err) != err { //nolint:errorlint // the same value
		t.Error("it is another error")
	}
}

// TestWithoutALimit: all memories of a guest without a limit have together 4 GiB.
// docs/security.md: "Without a limit a container may take 4 GiB"
func TestWithoutALimit(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, `(module (memory (export "memory") 1) (memory $b 1) (func (export "_start")
		(if (i32.ne (memory.grow (i32.const 65534)) (i32.const 1)) (then unreachable))
		(if (i32.ne (memory.grow $b (i32.const 1)) (i32.const -1)) (then unreachable))))`), runtime.Spec{})
	if exit := r.wait(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
}
