package wasmtime

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestTablesCount: tables are part of what a guest uses of memory, those that it does not export and as far as they have grown,
// but not of what its limit bounds.
func TestTablesCount(t *testing.T) {
	e := newEngine(t)
	run := start(t, e, wat(t, `(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
		(memory (export "memory") 1)
		(table 1000 1000 funcref) (table $t (export "krustlet") 500 funcref)
		(func (export "_start") (drop (table.grow $t (ref.null func) (i32.const 100000))) (loop $l (drop (call $yield)) (br $l))))`),
		runtime.Spec{MemoryLimit: wasmPage})
	eventually(t, "the tables count", func() bool {
		return run.process.Stats().Memory == wasmPage+8*(1000+500+100_000)
	})
	run.process.Stop(0)
	if exit := run.wait(); exit.Reason != runtime.Error || run.process.Stats().Memory != wasmPage+8*(1000+500+100_000) {
		t.Errorf("exit %+v, %+v", exit, run.process.Stats())
	}
}

// TestMoreTablesThanThereMayBe: the bound is the engine's matter.
func TestMoreTablesThanThereMayBe(t *testing.T) {
	e := newEngine(t)
	text := `(module (memory (export "memory") 1) (func (export "_start"))`
	for range maxTables {
		text += ` (table 1 funcref)`
	}
	run := start(t, e, wat(t, text+")"), runtime.Spec{})
	if exit := run.wait(); exit.Code != 0 || run.process.Stats().Memory != wasmPage+8*maxTables {
		t.Errorf("exit %+v, %+v", exit, run.process.Stats())
	}
	if _, err := tryStart(t, e, wat(t, text+` (table 1 funcref))`), runtime.Spec{}); err == nil {
		t.Error("a module with one more runs")
	}
}
