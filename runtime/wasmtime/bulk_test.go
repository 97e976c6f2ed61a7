package wasmtime

import (
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// bulk is a module with 20 MiB of memory. Its functions return a number that only the run can
// produce, mark memory, and check it.
const bulk = `(module (memory $a (export "memory") 320) (memory $b 64) (data $d "` + "DATA" + `")
	(global $zero (mut i32) (i32.const 0))
	(func $n (param i32) (result i32) (i32.add (local.get 0) (global.get $zero)))
	(func $mark (param $from i32) (param $length i32) (local $i i32) (loop $l
		(i32.store (i32.add (local.get $from) (local.get $i)) (i32.mul (local.get $i) (i32.const 0x9e3779b1)))
		(br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $length)))))
	(func $marked (param $from i32) (param $length i32) (local $i i32) (loop $l
		(if (i32.ne (i32.load (i32.add (local.get $from) (local.get $i))) (i32.mul (local.get $i) (i32.const 0x9e3779b1))) (then unreachable))
		(br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $length)))))
	(func $is (param $from i32) (param $length i32) (param $value i32) (loop $l
		(if (i32.ne (i32.load8_u (local.get $from)) (local.get $value)) (then unreachable))
		(local.set $from (i32.add (local.get $from) (i32.const 1)))
		(br_if $l (local.tee $length (i32.sub (local.get $length) (i32.const 1))))))
	(func (export "_start") CODE))`

func bulkModule(t *testing.T, code string) string {
	t.Helper()
	return wat(t, strings.NewReplacer("DATA", strings.Repeat("0123456789abcdef", 3<<16+1), "CODE", code).Replace(bulk))
}

// TestLongPiecesOfMemory: an instruction that writes a long range of memory is replaced by several
// short ones with the same effect.
func TestLongPiecesOfMemory(t *testing.T) {
	e := newEngine(t)
	for name, code := range map[string]string{
		"fill": `(memory.fill (i32.const 5) (i32.const 0x1ff) (call $n (i32.const 0x300007)))
			(call $is (i32.const 0) (i32.const 5) (i32.const 0)) (call $is (i32.const 5) (i32.const 0x300007) (i32.const 255))
			(call $is (i32.const 0x30000c) (i32.const 1000) (i32.const 0))`,
		"fill to the end":   `(memory.fill (i32.const 0x1000000) (i32.const 1) (call $n (i32.const 0x400000))) (call $is (i32.const 0x1000000) (i32.const 0x400000) (i32.const 1))`,
		"fill with nothing": `(memory.fill (i32.const 0x1400000) (i32.const 1) (call $n (i32.const 0)))`,
		"fill of known length": `(memory.fill (i32.const 0) (i32.const 3) (i32.const 0x200001)) (call $is (i32.const 0) (i32.const 0x200001) (i32.const 3))
			(call $is (i32.const 0x200001) (i32.const 10) (i32.const 0))`,
		"copy forward": `(call $mark (i32.const 0x100000) (i32.const 0x400000)) (memory.copy (i32.const 0xffff4) (i32.const 0x100000) (call $n (i32.const 0x400000)))
			(call $marked (i32.const 0xffff4) (i32.const 0x400000))`,
		"copy backward": `(call $mark (i32.const 0x100000) (i32.const 0x400000)) (memory.copy (i32.const 0x1d5554) (i32.const 0x100000) (call $n (i32.const 0x400000)))
			(call $marked (i32.const 0x1d5554) (i32.const 0x400000)) (call $marked (i32.const 0x100000) (i32.const 0xd5554))`,
		"copy to the same": `(call $mark (i32.const 0x100000) (i32.const 0x400000)) (memory.copy (i32.const 0x100000) (i32.const 0x100000) (call $n (i32.const 0x400000)))
			(call $marked (i32.const 0x100000) (i32.const 0x400000))`,
		"copy to another memory": `(call $mark (i32.const 16) (i32.const 0x300000)) (memory.copy $b $a (i32.const 32) (i32.const 16) (call $n (i32.const 0x300000)))
			(memory.fill (i32.const 0) (i32.const 0) (call $n (i32.const 0x1400000))) (memory.copy $a $b (i32.const 64) (i32.const 32) (call $n (i32.const 0x300000)))
			(call $marked (i32.const 64) (i32.const 0x300000))`,
		"constant data": `(memory.init $d (i32.const 3) (i32.const 16) (call $n (i32.const 0x300000))) (call $is (i32.const 0) (i32.const 3) (i32.const 0))
			(call $is (i32.const 3) (i32.const 1) (i32.const 0x30)) (call $is (i32.const 0x300002) (i32.const 1) (i32.const 0x66)) (call $is (i32.const 0x300003) (i32.const 9) (i32.const 0))`,
	} {
		t.Run(name, func(t *testing.T) {
			if exit := start(t, e, bulkModule(t, code), runtime.Spec{}).wait(); exit.Code != 0 {
				t.Errorf("exit %+v", exit)
			}
		})
	}
	for name, code := range map[string]string{
		"fill":                       `(memory.fill (i32.const 16) (i32.const 1) (call $n (i32.const 0x1400000)))`,
		"fill around the end":        `(memory.fill (i32.const -16) (i32.const 1) (call $n (i32.const 0x200000)))`,
		"fill of everything":         `(memory.fill (i32.const 1) (i32.const 1) (call $n (i32.const -1)))`,
		"copy from there":            `(memory.copy (i32.const 0) (i32.const 0x1300000) (call $n (i32.const 0x200000)))`,
		"copy from around the end":   `(memory.copy (i32.const 0) (i32.const -0x100000) (call $n (i32.const 0x200000)))`,
		"copy to there":              `(memory.copy (i32.const 0x1300000) (i32.const 0) (call $n (i32.const 0x200000)))`,
		"copy to a smaller memory":   `(memory.copy $b $a (i32.const 0) (i32.const 0) (call $n (i32.const 0x500000)))`,
		"copy from a smaller memory": `(memory.copy $a $b (i32.const 0) (i32.const 0) (call $n (i32.const 0x500000)))`,
		"data that is not there":     `(memory.init $d (i32.const 0) (i32.const 32) (call $n (i32.const 0x300000)))`,
		"data that was dropped":      `(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (call $n (i32.const 0x200000)))`,
	} {
		t.Run("out of bounds: "+name, func(t *testing.T) {
			exit := start(t, e, bulkModule(t, code), runtime.Spec{}).wait()
			if !strings.HasPrefix(exit.Message, "trap: memory access out of bounds\nwasm backtrace:\n  0: ? (function 4, at 0x") || strings.Contains(exit.Message, "  1: ") {
				t.Errorf("exit %+v", exit)
			}
		})
	}
}

// TestKillInLongPieces: a guest that fills and copies much memory at once does not delay its kill.
func TestKillInLongPieces(t *testing.T) {
	e := newEngine(t)
	for name, code := range map[string]string{
		"fill": `(memory.fill (i32.const 0) (i32.const 1) (local.get $all))`,
		"copy": `(memory.copy (i32.const 1) (i32.const 0) (i32.sub (local.get $all) (i32.const 1)))`,
	} {
		t.Run(name, func(t *testing.T) {
			file := wat(t, `(module (memory (export "memory") 16384) (func (export "_start") (local $all i32)
				(local.set $all (i32.mul (memory.size) (i32.const 65536))) (loop $l `+code+` (br $l))))`)
			r := start(t, e, file, runtime.Spec{})
			eventually.True(t, "it is in the middle of it", func() bool { return r.process.Stats().CPU > 20*time.Millisecond })
			before := r.process.Stats().CPU
			r.process.Stop(0)
			if exit := r.wait(); exit.Code != 137 {
				t.Errorf("exit %+v", exit)
			}
			if used := r.process.Stats().CPU - before; used > 100*time.Millisecond {
				t.Errorf("it used %v of the processor after it was killed", used)
			}
		})
	}
}
