package wasmtime

import (
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestKillInLongThrows: an exception that leaves as many frames as possible, each with the maximum
// of catches, does not delay a kill.
func TestKillInLongThrows(t *testing.T) {
	if !supported() {
		t.Log("this library has no exceptions")
		return
	}
	e := newEngine(t)
	text := `(module (memory (export "memory") 1) (tag $t) (tag $u)
		(func $f (param i32) (block $h (try_table CATCHES (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (throw $t))))))
		(func (export "_start") (loop $l (block $h (try_table (catch_all $h) (call $f (i32.const FRAMES)))) (br $l))))`
	catches := func(n int) string { return strings.ReplaceAll(text, "CATCHES", strings.Repeat("(catch $u $h) ", n)) }
	if _, err := tryStart(t, e, wat(t, strings.ReplaceAll(catches(1001), "FRAMES", "1")), runtime.Spec{}); err == nil || !strings.Contains(err.Error(), "1001 catches around a place, at most 1000") {
		t.Errorf("more than there may be: %v", err)
	}
	r := start(t, e, wat(t, strings.ReplaceAll(catches(1000), "FRAMES", "6000")), runtime.Spec{})
	eventually.True(t, "it throws", func() bool { return r.process.Stats().CPU > 200*time.Millisecond })
	before := r.process.Stats().CPU
	r.process.Stop(0)
	if exit := r.wait(); exit.Code != 137 {
		t.Errorf("exit %+v", exit)
	}
	if used := r.process.Stats().CPU - before; used > 100*time.Millisecond {
		t.Errorf("it used %v of the processor after it was killed", used)
	}
}
