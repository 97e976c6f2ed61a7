package wasmtime

import (
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// growingTables has two tables, of which it exports one. It grows one, and spins.
const growingTables = `(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
	(memory (export "memory") 1)
	(table 1000 1000 funcref) (table $t (export "table") 500 funcref)
	(func (export "_start") (if (i32.eq (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1)) (then unreachable))
		(loop $l (drop (call $yield)) (br $l))))`

// TestTablesCount: tables count as a guest's memory and are subject to its limit. This includes
// tables that it does not export, and growth.
func TestTablesCount(t *testing.T) {
	e := newEngine(t)
	file := wat(t, growingTables)
	run := start(t, e, file, runtime.Spec{MemoryLimit: wasmPage + 8*(1000+500+100_000)})
	eventually.True(t, "the tables count", func() bool {
		return run.process.Stats().Memory == wasmPage+8*(1000+500+100_000)
	})
	run.process.Stop(0)
	if exit := run.wait(); exit.Reason != runtime.Error {
		t.Errorf("exit %+v", exit)
	}
	if exit := start(t, e, file, runtime.Spec{MemoryLimit: wasmPage + 8*(1000+500+100_000-1)}).wait(); exit.Reason != runtime.OOMKilled {
		t.Errorf("with a limit that is less by an element: exit %+v", exit)
	}
	_, err := tryStart(t, e, file, runtime.Spec{MemoryLimit: wasmPage + 100})
	if err == nil || !strings.Contains(err.Error(), "needs 77536 bytes at the start (memory 65536, tables 12000, code 0)") {
		t.Errorf("a module whose tables are larger than its limit: %v", err)
	}
}

// TestMoreTablesThanThereMayBe: one of the engine's tables is our own.
func TestMoreTablesThanThereMayBe(t *testing.T) {
	e := newEngine(t)
	text := `(module (memory (export "memory") 1) (func (export "_start"))`
	for range maxTables - 1 {
		text += ` (table 1 funcref)`
	}
	run := start(t, e, wat(t, text+")"), runtime.Spec{})
	if exit := run.wait(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
	if _, err := tryStart(t, e, wat(t, text+` (table 1 funcref))`), runtime.Spec{}); err == nil {
		t.Error("a module with one more runs")
	}
}
