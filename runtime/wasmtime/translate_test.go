package wasmtime_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/translate"
)

// everyProposal has a module for each proposal that may be on. The module uses what the proposal
// adds.
var everyProposal = map[translate.Feature]string{
	translate.MutableGlobals:       `(module (import "a" "b" (global (mut i32))) (global (export "g") (mut i32) (i32.const 1)))`,
	translate.SignExtension:        `(module (func (drop (i32.extend8_s (i32.const 1))) (drop (i64.extend32_s (i64.const 1)))))`,
	translate.SaturatingFloatToInt: `(module (func (drop (i32.trunc_sat_f32_s (f32.const 1))) (drop (i64.trunc_sat_f64_u (f64.const 1)))))`,
	translate.MultiValue: `(module (func $two (result i32 i64) (i32.const 1) (i64.const 2))
		(func (i32.const 1) (block (param i32) (result i32 i32) (i32.const 2)) (drop) (drop)
			(i32.const 3) (loop (param i32) (drop)) (call $two) (drop) (drop)
			(i32.const 4) (if (param) (result i64 i64) (then (i64.const 1) (i64.const 2)) (else (i64.const 1) (i64.const 2))) (drop) (drop)))`,
	translate.BulkMemory: `(module (memory 1) (table 2 funcref) (data $d "x") (elem $e func $f)
		(func $f (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d)
			(memory.copy (i32.const 0) (i32.const 1) (i32.const 2)) (memory.fill (i32.const 0) (i32.const 1) (i32.const 2))
			(table.init $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e) (table.copy (i32.const 0) (i32.const 1) (i32.const 1))))`,
	translate.ReferenceTypes: `(module (table $a 2 funcref) (table $b 2 externref) (elem declare func $f) (elem (table $a) (i32.const 0) funcref (ref.func $f) (ref.null func))
		(global $g (mut externref) (ref.null extern))
		(func $f (param externref) (local funcref)
			(table.set $b (i32.const 0) (local.get 0)) (local.set 1 (table.get $a (i32.const 0))) (global.set $g (global.get $g))
			(drop (table.grow $a (ref.func $f) (i32.const 1))) (drop (table.grow $b (local.get 0) (i32.const 1)))
			(drop (table.size $b)) (table.fill $b (i32.const 0) (ref.null extern) (i32.const 1)) (drop (ref.is_null (local.get 1)))
			(table.copy $a $a (i32.const 0) (i32.const 0) (i32.const 0))
			(drop (select (result funcref) (local.get 1) (ref.null func) (i32.const 1)))
			(call_indirect $a (param externref) (local.get 0) (i32.const 0))))`,
	translate.SIMD: `(module (memory 1) (func (param v128) (result v128)
		(v128.const i32x4 0x40004000 0x10401040 64 0) (i8x16.extract_lane_s 3) (drop)
		(i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (local.get 0) (local.get 0)) (drop)
		(v128.load8_lane offset=64 3 (i32.const 0) (local.get 0)) (drop) (v128.load32_zero (i32.const 64)) (drop)
		(v128.store16_lane 1 (i32.const 0) (local.get 0)) (v128.load8x8_s (i32.const 0)) (drop)
		(i16x8.extmul_high_i8x16_u (local.get 0) (local.get 0)) (f64x2.promote_low_f32x4 (local.get 0)) (drop)))`,
	translate.TailCalls: `(module (table 1 funcref) (type $t (func (param i32) (result i32))) (func $f (param i32) (result i32) (return_call $f (local.get 0)))
		(func (param i32) (result i32) (return_call_indirect (type $t) (local.get 0) (i32.const 0))))`,
	translate.ExtendedConstants: `(module (import "a" "b" (global $g i32)) (memory 1) (data (offset (i32.add (global.get $g) (i32.const 4))) "x")
		(global i64 (i64.mul (i64.const 2) (i64.sub (i64.const 3) (i64.const 1)))))`,
	translate.ExceptionHandling: `(module (import "a" "b" (tag (param i32))) (tag $t (param i32 i64))
		(func $f (throw $t (i32.const 1) (i64.const 2)))
		(func (result i64) (local exnref) (drop (block $all (result exnref)
			(block $one (result i32 i64)
				(try_table (catch $t $one) (catch_all_ref $all) (call $f) (block $in (try_table (catch_all $in) (call $f))))
				(return (i64.const 0)))
			(drop) (drop) (return (i64.const 1)))) (i64.const 2)))`,
	translate.TypedFunctionReferences: `(module (type $t (func (param i32) (result i32))) (table $x 1 2 (ref null $t)) (table $y 1 (ref $t) (ref.func $f)) (elem declare func $f)
		(func $f (type $t) (local.get 0))
		(func (param (ref null $t)) (result i32) (drop (table.grow $x (local.get 0) (i32.const 1))) (drop (table.grow $y (ref.func $f) (i32.const 1)))
			(block $null (drop (call_ref $t (i32.const 1) (br_on_null $null (local.get 0)))))
			(drop (block $some (result (ref $t)) (br_on_non_null $some (local.get 0)) (unreachable)))
			(call_ref $t (i32.const 1) (ref.as_non_null (local.get 0))))
		(func (param (ref $t)) (result i32) (return_call_ref $t (i32.const 2) (local.get 0))))`,
	translate.GC: `(module (rec (type $list (sub (struct (field i32) (field (mut (ref null $list)))))) (type $more (sub final $list (struct (field i32) (field (mut (ref null $list))) (field i8)))))
		(type $bytes (array (mut i8))) (type $lists (array (mut (ref null $list)))) (data $d "abcd") (elem $e (ref null $list) (ref.null $list))
		(global $g (ref null $list) (struct.new $list (i32.const 1) (ref.null $list))) (table $t 2 anyref)
		(func (param anyref) (local (ref null $list)) (local (ref null $bytes)) (local (ref null $lists))
			(local.set 1 (struct.new $more (i32.const 1) (global.get $g) (i32.const 2))) (drop (struct.get $list 0 (local.get 1)))
			(drop (struct.get_u $more 2 (ref.cast (ref $more) (local.get 1))))
			(struct.set $list 1 (local.get 1) (struct.new_default $list))
			(local.set 2 (array.new_fixed $bytes 3 (i32.const 1) (i32.const 2) (i32.const 3))) (drop (array.get_s $bytes (local.get 2) (i32.const 0)))
			(local.set 3 (array.new $lists (local.get 1) (i32.const 3))) (array.set $lists (local.get 3) (i32.const 0) (local.get 1))
			(drop (array.len (local.get 2))) (array.copy $bytes $bytes (local.get 2) (i32.const 0) (local.get 2) (i32.const 1) (i32.const 1))
			(array.fill $bytes (local.get 2) (i32.const 0) (i32.const 7) (i32.const 1)) (drop (array.new_data $bytes $d (i32.const 0) (i32.const 2)))
			(array.init_data $bytes $d (local.get 2) (i32.const 0) (i32.const 0) (i32.const 1)) (drop (array.new_elem $lists $e (i32.const 0) (i32.const 1)))
			(drop (ref.test (ref null $more) (local.get 0))) (drop (ref.eq (local.get 1) (ref.i31 (i32.const 1))))
			(drop (i31.get_u (ref.i31 (i32.const 5)))) (drop (any.convert_extern (extern.convert_any (local.get 0))))
			(drop (block $l (result (ref $list)) (br_on_cast $l anyref (ref $list) (local.get 0)) (drop) (return)))
			(drop (block $l (result anyref) (br_on_cast_fail $l anyref (ref $list) (local.get 0)) (drop) (return)))
			(table.set $t (i32.const 0) (local.get 0)) (drop (table.grow $t (local.get 0) (i32.const 1)))))`,
	translate.MultiMemory: `(module (memory $a 1) (memory $b 1 2) (data (memory $b) (i32.const 0) "x") (func (i32.store $b (i32.const 0) (i32.load $a (i32.const 4)))
		(memory.copy $a $b (i32.const 0) (i32.const 0) (i32.const 1)) (drop (memory.grow $b (memory.size $a))) (drop (memory.grow $a (memory.grow $b (i32.const 1))))))`,
	translate.Threads: `(module (memory 1) (func (drop (i32.atomic.load offset=4 (i32.const 0))) (atomic.fence) (i64.atomic.store (i32.const 8) (i64.const 1))
		(drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))) (drop (i64.atomic.rmw32.cmpxchg_u (i32.const 0) (i64.const 1) (i64.const 2)))
		(drop (memory.atomic.notify (i32.const 0) (i32.const 1)))))`,
}

// neverOn has modules for proposals that are off everywhere.
var neverOn = map[translate.Feature]string{
	translate.Memory64:         `(module (memory i64 1))`,
	translate.SharedMemory:     `(module (memory 1 2 shared))`,
	translate.RelaxedSIMD:      `(module (func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0))))`,
	translate.WideArithmetic:   `(module (func (param i64) (i64.mul_wide_s (local.get 0) (local.get 0)) (drop) (drop)))`,
	translate.CustomPageSizes:  `(module (memory 1 (pagesize 1)))`,
	translate.LegacyExceptions: `(module (func try catch_all end))`,
	translate.StackSwitching:   `(module (type $f (func)) (type $c (cont $f)) (func (drop (cont.new $c (ref.null $f)))))`,
}

func toWasm(t testing.TB, text string) []byte {
	t.Helper()
	wasm, err := wasmtimego.Wat2Wasm(text)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// allOn makes an engine that runs each proposal that may be on.
func allOn(t testing.TB) *wasmtimego.Engine {
	cfg := wasmtimego.NewConfig()
	cfg.SetWasmMultiMemory(true)
	cfg.SetWasmFunctionReferences(true)
	cfg.SetWasmGC(true)
	cfg.SetWasmMemory64(false)
	cfg.SetWasmThreads(true)
	cfg.SetWasmRelaxedSIMD(false)
	e := wasmtimego.NewEngineWithConfig(cfg)
	t.Cleanup(e.Close)
	return e
}

// TestTranslatedModulesAreValid: for the instructions of each proposal, the engine accepts the
// result of Module, and so does Module itself.
func TestTranslatedModulesAreValid(t *testing.T) {
	engine := allOn(t)
	for feature, text := range everyProposal {
		wasm := toWasm(t, text)
		runs := wasmtimego.ModuleValidate(engine, wasm)
		if runs != nil && feature != translate.ExceptionHandling { // wasmtime-go has no switch for it
			t.Errorf("%v: the original: %v", feature, runs)
			continue
		}
		out, err := translate.Module(wasm, translate.Finished, translate.Limits{})
		if err != nil {
			t.Errorf("%v: %v", feature, err)
			continue
		}
		if err := wasmtimego.ModuleValidate(engine, out.Wasm); err != nil && runs == nil {
			t.Errorf("%v: %v", feature, err)
		}
	}
	for name, wasm := range map[string][]byte{"tiny": guests.Tiny(t), "kitchen": guestBytes(t, "kitchen")} {
		out, err := translate.Module(wasm, translate.Finished, translate.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := wasmtimego.ModuleValidate(engine, out.Wasm); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFeaturesAreRefusedByName: a module that uses a proposal that is off is refused. The error has
// the name and the position.
func TestFeaturesAreRefusedByName(t *testing.T) {
	for _, feature := range translate.All() {
		text, on := everyProposal[feature], translate.Finished.Without(feature)
		if feature.Never() {
			text, on = neverOn[feature], translate.Finished
		}
		_, err := translate.Module(toWasm(t, text), on, translate.Limits{})
		var refused *translate.FeatureError
		if !errors.As(err, &refused) || refused.Feature != feature || !strings.Contains(err.Error(), feature.String()+" is off") {
			t.Errorf("%v: %v", feature, err)
		}
	}
}

// TestTranslatedModulesBehaveTheSame: functions return the same results in a translated module,
// even if memories and tables grow and the host grants or refuses this.
func TestTranslatedModulesBehaveTheSame(t *testing.T) {
	const text = `(module (memory $a (export "memory") 1 3) (memory $b 0 2) (table $t 1 4 funcref) (table $u 0 2 externref) (global $n (mut i32) (i32.const 0))
		(elem declare func $start)
		(func $start (global.set $n (i32.const 5))) (start $start)
		(func (export "a") (param i32) (result i32) (memory.grow $a (local.get 0)))
		(func (export "b") (param i32) (result i32) (memory.grow $b (local.get 0)))
		(func (export "t") (param i32) (result i32) (table.grow $t (ref.func $start) (local.get 0)))
		(func (export "u") (param i32) (result i32) (table.grow $u (ref.null extern) (local.get 0)))
		(func (export "size") (result i32) (i32.add (i32.add (memory.size $a) (i32.mul (i32.const 10) (memory.size $b)))
			(i32.add (i32.mul (i32.const 100) (table.size $t)) (i32.mul (i32.const 1000) (table.size $u)))))
		(func (export "n") (result i32) (global.get $n)))`
	names := []string{"memory", "a", "b", "t", "u", "size", "n"}
	wasm := toWasm(t, text)
	out, err := translate.Module(wasm, translate.Finished, translate.Limits{}, names...)
	if err != nil {
		t.Fatal(err)
	}
	engine := allOn(t)
	original, translated := newGuest(t, engine, wasm), newGuest(t, engine, out.Wasm)
	if n := translated.call(t, "n"); n != 0 || !out.Info.Starts {
		t.Errorf("the start function ran before the host called it: %d, %+v", n, out.Info)
	}
	translated.grants(t)
	translated.call(t, translate.StartExport)
	for _, step := range []struct {
		name  string
		delta int32
		asked int // how often the host is asked if it cannot grow
		what  uint32
	}{{"a", 1, 1, 0}, {"a", 0, 1, 0}, {"a", 5, 2, 0}, {"b", 2, 1, 1}, {"b", 1, 2, 1}, {"t", 2, 1, translate.TableGrowth}, {"t", -1, 2, translate.TableGrowth}, {"u", 1, 1, translate.TableGrowth | 1}, {"u", 2, 2, translate.TableGrowth | 1}} {
		translated.asked = nil
		if got, want := translated.call(t, step.name, step.delta), original.call(t, step.name, step.delta); got != want {
			t.Errorf("%s by %d: %d, want %d", step.name, step.delta, got, want)
		}
		want := []question{{step.what, step.delta}, {step.what | translate.GrowthFailed, step.delta}}[:step.asked]
		if !slices.Equal(translated.asked, want) {
			t.Errorf("%s by %d: the host was asked %v, want %v", step.name, step.delta, translated.asked, want)
		}
	}
	if got, want := translated.call(t, "size"), original.call(t, "size"); got != want {
		t.Errorf("sizes %d, want %d", got, want)
	}
	translated.refuse = true
	for _, name := range []string{"a", "b", "t", "u"} {
		if got := translated.call(t, name, int32(0)); got != -1 {
			t.Errorf("%s grew though the host refused: %d", name, got)
		}
	}
	if n := translated.call(t, "n"); n != 5 {
		t.Errorf("the start function did not run: %d", n)
	}
}

// question is the host's input before a growth.
type question struct {
	what  uint32
	delta int32
}

// guest is an instance without imports.
type guest struct {
	store    *wasmtimego.Store
	instance *wasmtimego.Instance
	asked    []question
	refuse   bool
}

func newGuest(t *testing.T, engine *wasmtimego.Engine, wasm []byte) *guest {
	t.Helper()
	m, err := wasmtimego.NewModule(engine, wasm)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{store: wasmtimego.NewStore(engine)}
	if g.instance, err = wasmtimego.NewInstance(g.store, m, nil); err != nil {
		t.Fatal(err)
	}
	return g
}

// grants says whether memories and tables may grow.
func (g *guest) grants(t *testing.T) {
	t.Helper()
	f := wasmtimego.WrapFunc(g.store, func(what, delta int32) int32 {
		g.asked = append(g.asked, question{uint32(what), delta})
		if g.refuse {
			return 0
		}
		return 1
	})
	if err := g.instance.GetExport(g.store, translate.GrowExport).Table().Set(g.store, 0, wasmtimego.ValFuncref(f)); err != nil {
		t.Fatal(err)
	}
}

func (g *guest) call(t *testing.T, name string, args ...any) int32 {
	t.Helper()
	result, err := g.instance.GetFunc(g.store, name).Call(g.store, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	n, _ := result.(int32)
	return n
}

// TestExportsThatGo: functions that the code names by ref.func stay valid when their exports are
// removed.
func TestExportsThatGo(t *testing.T) {
	engine := allOn(t)
	for _, text := range []string{
		`(module (func $f (export "f")) (func (export "_start") (drop (ref.func $f))))`,
		`(module (table 1 funcref) (elem (i32.const 0) $g) (func $f (export "f")) (func $g) (func (export "_start") (drop (ref.func $f)) (drop (ref.func $g))))`,
		`(module (memory 1) (data $d "x") (func $f (export "f") (data.drop $d)) (func (export "_start") (drop (ref.func $f))))`,
	} {
		out, err := translate.Module(toWasm(t, text), translate.Finished, translate.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := wasmtimego.NewModule(engine, out.Wasm)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if e := m.Exports(); len(e) != 1 || e[0].Name() != "_start" {
			t.Errorf("%s: %d exports", text, len(e))
		}
	}
}

// FuzzTranslate: if Module accepts a module and the engine accepts the original, then the engine
// accepts the result.
func FuzzTranslate(f *testing.F) {
	engine := allOn(f)
	for _, text := range everyProposal {
		f.Add(toWasm(f, text))
	}
	f.Add(guests.Tiny(f))
	// This function's result is only the number of a type, without the byte for a reference.
	// Version 39 accepts this as a reference, against the specification; version 48 does not.
	bare := []byte("\x00asm\x01\x00\x00\x00\x01\x06\x01\x60\x01\x7b\x01\x00")
	takesIndexes := wasmtimego.ModuleValidate(engine, bare) == nil
	f.Add(bare)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out, err := translate.Module(wasm, translate.Finished, translate.Limits{})
		valid := wasmtimego.ModuleValidate(engine, wasm)
		if err != nil {
			var refused *translate.FormatError
			if valid == nil && errors.As(err, &refused) && !strings.Contains(refused.What, "the host's") && !(takesIndexes && strings.Contains(refused.What, "a type of values")) {
				t.Errorf("%x is valid: %v", wasm, err)
			}
			return
		}
		if valid != nil {
			return
		}
		if err := wasmtimego.ModuleValidate(engine, out.Wasm); err != nil {
			t.Errorf("%x became %x: %v", wasm, out.Wasm, err)
		}
	})
}

func guestBytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(guests.Build(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
