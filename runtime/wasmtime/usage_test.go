package wasmtime

import (
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestSessionsCountForTheirRun: what a session uses is its run's while it goes on, and its processor time for good.
func TestSessionsCountForTheirRun(t *testing.T) {
	e := newEngine(t)
	waits := wat(t, `(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1) (func (export "_start")
		(i64.store (i32.const 24) (i64.const 3600000000000))
		(i32.store (i32.const 16) (i32.const 1))
		(drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))`)
	of := runtime.Origin{Pod: "u1", Container: "a"}
	run := start(t, e, waits, runtime.Spec{Of: of})
	alone := e.Stats(t.Context())[t.Name()]
	if alone.Memory != wasmPage || alone.CPU <= 0 || alone.CPU > time.Second {
		t.Fatalf("alone: %+v", alone)
	}
	session := start(t, e, wat(t, `(module (memory (export "memory") 5) (func (export "_start") (loop $l (br $l))))`),
		runtime.Spec{Of: runtime.Origin{Pod: "u1", Beside: t.Name()}})
	const spun = 30 * time.Millisecond
	eventually(t, "the session counts", func() bool {
		all := e.Stats(t.Context())
		return len(all) == 1 && all[t.Name()].Memory == 6*wasmPage && all[t.Name()].CPU > alone.CPU+spun
	})
	session.process.Stop(0)
	session.wait()
	after := e.Stats(t.Context())[t.Name()]
	if after.Memory != wasmPage || after.CPU < alone.CPU+spun || after.CPU < session.process.Stats().CPU {
		t.Errorf("after the session: %+v", after)
	}
	run.process.Stop(0)
	run.wait()
	if all := e.Stats(t.Context()); len(all) != 0 {
		t.Errorf("after its end: %+v", all)
	}
}
