package wasmtime

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// everyKind is a function with an instruction of every encoding.
const everyKind = `(module (type $f (func (param i32) (result i32)))
	(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
	(memory (export "memory") 1) (data $d "x") (table $t 4 funcref) (elem $e func $callee)
	(func $callee (param i32) (result i32) local.get 0)
	(func (export "_start") (local i32 i64 f32 f64 v128 funcref) (local i32 i32)
		(block (br_if 0 (i32.const 0x40104010)) (loop (br_table 0 1 0 (i32.const 1))))
		(if (result i32) (i32.eqz (i32.const -1077936128)) (then (i32.const 1)) (else (memory.grow (i32.const 1)))) drop
		(i64.const 0x4000401040004010) (i64.store offset=0x4010 (i32.const 64) (i64.const -64)) drop
		(f32.const 0x1.40p+3) drop (f64.const 0x1.400040104p+3) drop
		(v128.const i32x4 0x40004000 0x10401040 64 0) (i8x16.extract_lane_s 3) drop
		(i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (local.get 4) (local.get 4)) drop
		(v128.load8_lane offset=64 3 (i32.const 0) (local.get 4)) drop
		(v128.load32_zero (i32.const 64)) drop
		(i32x4.relaxed_trunc_f32x4_s (local.get 4)) drop
		(call_indirect $t (type $f) (i32.const 64) (i32.const 0)) drop
		(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d)
		(memory.copy (i32.const 0) (i32.const 64) (i32.const 64)) (memory.fill (i32.const 0) (i32.const 64) (i32.const 64))
		(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e)
		(table.copy (i32.const 0) (i32.const 1) (i32.const 1)) (drop (table.grow $t (ref.null func) (i32.const 1)))
		(drop (table.size $t)) (table.fill $t (i32.const 0) (ref.func $callee) (i32.const 1))
		(drop (ref.is_null (table.get $t (i32.const 0)))) (table.set $t (i32.const 0) (ref.null func))
		(drop (i32.trunc_sat_f32_s (f32.const 1))) (drop (select (result i32) (i32.const 64) (i32.const 0) (i32.const 0)))
		(drop (i32.extend8_s (memory.size)))
		(drop (memory.grow (memory.grow (i32.const 64))))
		(return_call $last))
	(func $last (nop)))`

// TestWatchedModuleIsValid: the engine takes what watchGrowth makes, and no memory.grow is left but its own.
func TestWatchedModuleIsValid(t *testing.T) {
	native := wasmtimego.NewEngineWithConfig(settings())
	defer native.Close()
	every, err := wasmtimego.Wat2Wasm(everyKind)
	if err != nil {
		t.Fatal(err)
	}
	for name, wasm := range map[string][]byte{
		"every kind": every,
		"tiny":       guests.Tiny(t),
		"kitchen":    []byte(read(t, guests.Build(t, "kitchen"))),
	} {
		if err := wasmtimego.ModuleValidate(native, wasm); err != nil {
			t.Fatalf("%s: the original: %v", name, err)
		}
		out, moved, err := watchGrowth(wasm)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := wasmtimego.ModuleValidate(native, out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := watchGrowth(out); err == nil {
			t.Errorf("%s: it can be watched twice", name)
		}
		if !slices.IsSortedFunc(moved, func(a, b shift) int { return int(a.moved) - int(b.moved) }) {
			t.Errorf("%s: shifts are not in order", name)
		}
	}
}

// TestUnknownModulesRunUnwatched: a module with what is not known here runs as it is.
func TestUnknownModulesRunUnwatched(t *testing.T) {
	e := newEngine(t)
	for name, text := range map[string]string{
		"no memory":     `(module (func (export "_start")))`,
		"64-bit memory": `(module (memory (export "memory") i64 1) (func (export "_start")))`,
		"a taken name":  `(module (memory (export "memory") 1) (func (export "` + refusedExport + `")) (func (export "_start")))`,
	} {
		file := wat(t, text)
		if _, _, err := watchGrowth([]byte(read(t, file))); err == nil {
			t.Errorf("%s: it is watched", name)
		}
		if exit := start(t, e, file, runtime.Spec{MemoryLimit: 1 << 20}).wait(); exit.Code != 0 {
			t.Errorf("%s: exit %+v", name, exit)
		}
	}
	// Where nobody knows, how much the guest has decides.
	file := wat(t, `(module (memory (export "memory") i64 16) (func (export "_start") unreachable))`)
	if exit := start(t, e, file, runtime.Spec{MemoryLimit: 1 << 20}).wait(); exit.Reason != runtime.OOMKilled {
		t.Errorf("exit %+v", exit)
	}
}

// TestBacktraceNamesTheOriginal: offsets in a backtrace are those of the file that the user has.
func TestBacktraceNamesTheOriginal(t *testing.T) {
	e := newEngine(t)
	many := strings.Repeat("(func)", 200) // so that the call of the function that is added is longer than what it replaces
	file := wat(t, `(module (memory (export "memory") 1) `+many+` (func $start (export "_start")
		(drop (memory.grow (i32.const 1))) (drop (memory.grow (i32.const 1))) (drop (i32.const 0x1234)) unreachable))`)
	wasm := []byte(read(t, file))
	at := bytes.Index(wasm, []byte{0x41, 0xb4, 0x24, 0x1a, 0x00}) + 4 // i32.const 0x1234, drop, unreachable
	exit := start(t, e, file, runtime.Spec{}).wait()
	if want := fmt.Sprintf("start (function 200, at 0x%x)", at); !strings.Contains(exit.Message, want) {
		t.Errorf("%q, want %q in it", exit.Message, want)
	}
}

func TestShifts(t *testing.T) {
	s := shifts{{10, 15}, {20, 25}, {30, 37}}.simplify()
	if len(s) != 2 {
		t.Errorf("simplified: %v", s)
	}
	packed := s.pack([]byte("code"))
	got, code, err := unpack(packed)
	if err != nil || string(code) != "code" || !slices.Equal(got, s) {
		t.Errorf("unpacked %v %q, %v", got, code, err)
	}
	for moved, want := range map[uint64]uint64{0: 0, 14: 14, 15: 10, 24: 19, 36: 31, 37: 30, 100: 93} {
		if at := s.original(moved); at != want {
			t.Errorf("%d was at %d, want %d", moved, at, want)
		}
	}
	for _, short := range [][]byte{nil, {1}, {1, 0, 0, 0}, {255, 255, 255, 255, 0}} {
		if _, _, err := unpack(short); err == nil {
			t.Errorf("%v is unpacked", short)
		}
	}
}

// FuzzWatchGrowth: whatever the engine finds valid it finds valid when it is watched, and nothing panics.
func FuzzWatchGrowth(f *testing.F) {
	native := wasmtimego.NewEngineWithConfig(settings())
	f.Cleanup(native.Close)
	for _, text := range []string{everyKind, spinText, `(module (memory 1) (global i32 (i32.const 0)) (start $f) (func $f (drop (memory.grow (i32.const 1)))))`} {
		wasm, err := wasmtimego.Wat2Wasm(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wasm)
	}
	f.Add(guests.Tiny(f))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out, _, err := watchGrowth(wasm)
		if err != nil || wasmtimego.ModuleValidate(native, wasm) != nil {
			return
		}
		if err := wasmtimego.ModuleValidate(native, out); err != nil {
			t.Errorf("%x became %x: %v", wasm, out, err)
		}
	})
}
