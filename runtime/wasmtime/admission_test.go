package wasmtime

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/admission"
)

func TestAdmission(t *testing.T) {
	e, err := New(Config{CacheDir: t.TempDir(), Log: testLog(t), MaxGuests: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	tiny := filepathTiny(t)
	one := start(t, e, tiny, runtime.Spec{})
	two := start(t, e, tiny, runtime.Spec{})
	if _, err := tryStart(t, e, tiny, runtime.Spec{}); !errors.Is(err, runtime.ErrFull) || !strings.Contains(err.Error(), "the engine is full: it holds 2 guests, and its setting allows no more") {
		t.Errorf("one too many: %v", err)
	}
	one.process.Stop(0)
	one.wait()
	eventually.True(t, "there is room again", func() bool {
		r, err := tryStart(t, e, tiny, runtime.Spec{})
		if err == nil {
			r.process.Stop(0)
			r.wait()
		}
		return err == nil
	})
	two.process.Stop(0)
	two.wait()
}

// TestSlotsOfAGuest: a guest with several memories takes several slots.
func TestSlotsOfAGuest(t *testing.T) {
	e, err := New(Config{CacheDir: guests.CacheDir(t), Log: testLog(t), MaxGuests: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	three := wat(t, `(module (memory (export "memory") 1) (memory 1) (memory 1) (func (export "_start") (loop $spin (br $spin))))`)
	r := start(t, e, three, runtime.Spec{})
	if _, err := tryStart(t, e, filepathTiny(t), runtime.Spec{}); !errors.Is(err, runtime.ErrFull) {
		t.Errorf("a fourth slot: %v", err)
	}
	r.process.Stop(0)
	r.wait()
	eventually.True(t, "its slots are free", func() bool { return e.slots.Taken() == 0 })
	tiny := start(t, e, filepathTiny(t), runtime.Spec{})
	if _, err := tryStart(t, e, three, runtime.Spec{}); !errors.Is(err, runtime.ErrFull) {
		t.Errorf("three slots where two are free: %v", err)
	}
	tiny.process.Stop(0)
	tiny.wait()
}

// TestMapsOfGuests: no guest uses more memory areas than its slots allow. Above vm.max_map_count
// the process would exit.
func TestMapsOfGuests(t *testing.T) {
	e := newEngine(t)
	each := func(n int, text string) string {
		var all strings.Builder
		for i := range n {
			all.WriteString(strings.ReplaceAll(text, "N", strconv.Itoa(i)))
		}
		return all.String()
	}
	kinds := map[string]string{
		"plain":             `(memory (export "memory") 1) (func $do)`,
		"memories":          `(memory (export "memory") 1)` + each(15, ` (memory 1)`) + ` (func $do ` + each(16, ` (drop (memory.grow N (i32.const 1)))`) + `)`,
		"memories and data": `(memory (export "memory") 3)` + each(15, ` (memory 3)`) + each(16, ` (data (memory N) (i32.const 65536) "abc")`) + ` (func $do ` + each(16, ` (drop (memory.grow N (i32.const 1)))`) + `)`,
		"tables": `(memory (export "memory") 1)` + each(16, ` (table 10000 funcref)`) + ` (func $do (local $n i32)
			(loop $l ` + each(16, ` (drop (table.grow N (ref.null func) (i32.const 8000)))`) + ` (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 6)))))`,
	}
	if supported() {
		kinds["objects"] = `(memory (export "memory") 1) (type $a (array (mut i32))) (func $do (drop (array.new_default $a (i32.const 100000)))
			(drop (array.new_default $a (i32.const 200000))) (drop (memory.grow (i32.const 1))) (drop (array.new_default $a (i32.const 400000))))`
	}
	for name, text := range kinds {
		t.Run(name, func(t *testing.T) {
			file := wat(t, `(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32))) `+text+`
				(func (export "_start") (call $do) (i32.store (i32.const 4) (i32.const 1)) (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (loop $spin (br $spin))))`)
			var all []*guestRun
			begin := func(n int) (maps, slots int) {
				for range n {
					r := start(t, e, file, runtime.Spec{})
					all = append(all, r)
					r.says("\x00")
				}
				return strings.Count(read(t, "/proc/self/maps"), "\n"), e.slots.Taken()
			}
			before, had := begin(1)
			after, has := begin(20)
			for _, r := range all {
				r.process.Stop(0)
			}
			for _, r := range all {
				r.wait()
			}
			t.Logf("%.1f a guest, %d slots", float64(after-before)/20, (has-had)/20)
			if after-before > admission.MapsPerGuest*(has-had) {
				t.Errorf("20 guests with %d slots have %d memory areas, more than %d for each slot", has-had, after-before, admission.MapsPerGuest)
			}
		})
	}
}
