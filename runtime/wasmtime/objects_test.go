package wasmtime

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// churn makes objects of many sizes, with long and short lives, in locals, tables, globals,
// exceptions and other objects, between tail calls, calls by reference, throws and growing
// memories. It fails if one of them has changed.
const churn = `(module (memory (export "memory") 1 16) (type $a (array (mut i8))) (type $f (func (param i32) (result i32)))
	(type $l (struct (field $next (mut (ref null $l))) (field $b (mut (ref null $a))) (field $e (mut exnref)) (field $fn (mut (ref null $f))) (field $x (mut externref))))
	(type $ls (array (mut (ref null $l))))
	(tag $t (param (ref null $l) i32)) (table $tab 8 funcref) (table $objs 100 (ref null $l)) (table $ext 1 externref)
	(elem (table $tab) (i32.const 0) func $down $thrower $id) (global $g (mut (ref null $l)) (ref.null $l)) (global $n (mut i32) (i32.const 1))
	(func $rand (result i32) (global.set $n (i32.xor (global.get $n) (i32.shl (global.get $n) (i32.const 13))))
		(global.set $n (i32.xor (global.get $n) (i32.shr_u (global.get $n) (i32.const 17))))
		(global.set $n (i32.xor (global.get $n) (i32.shl (global.get $n) (i32.const 5)))) (global.get $n))
	(func $id (type $f) (local.get 0))
	(func $new (param $size i32) (result (ref $l))
		(struct.new $l (global.get $g) (array.new $a (i32.const 7) (local.get $size)) (ref.null exn) (ref.func $id) (extern.convert_any (ref.i31 (i32.const 5)))))
	(func $thrower (type $f) (if (i32.and (local.get 0) (i32.const 1)) (then (throw $t (call $new (i32.const 100)) (local.get 0))))
		(drop (memory.grow (i32.const 1))) (local.get 0))
	(func $down (type $f) (local $k (ref null $l)) (local.set $k (call $new (i32.const 16)))
		(if (local.get 0) (then (return_call_indirect $tab (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))
		(drop (call_ref $f (i32.const 1) (struct.get $l $fn (local.get $k))))
		(array.len (struct.get $l $b (local.get $k))))
	(func $one (param $r i32) (local $keep (ref null $l)) (local $ex exnref) (local $v i32) (local $pay (ref null $l))
		(local.set $keep (call $new (i32.and (local.get $r) (i32.const 0xfff))))
		(block $done (block $h (result (ref null $l) i32 exnref)
			(try_table (catch_ref $t $h) (drop (call_indirect $tab (type $f) (i32.and (local.get $r) (i32.const 63)) (i32.and (i32.shr_u (local.get $r) (i32.const 8)) (i32.const 1)))))
			(br $done))
			(local.set $ex) (local.set $v) (local.set $pay)
			(struct.set $l $e (local.get $keep) (local.get $ex))
			(struct.set $l $next (local.get $keep) (local.get $pay)))
		(if (i32.ne (i32.const 7) (array.get_u $a (struct.get $l $b (call $new (i32.const 1))) (i32.const 0))) (then unreachable))
		(table.set $objs (i32.rem_u (call $rand) (i32.const 100)) (local.get $keep))
		(table.set $ext (i32.const 0) (extern.convert_any (local.get $keep)))
		(if (i32.eqz (i32.and (call $rand) (i32.const 15))) (then (global.set $g (local.get $keep))))
		(if (i32.eqz (i32.and (call $rand) (i32.const 1023))) (then (global.set $g (ref.null $l)) (drop (table.grow $objs (ref.null $l) (i32.const 10)))))
		(if (ref.is_null (struct.get $l $b (ref.as_non_null (local.get $keep)))) (then unreachable)))
	(func (export "_start") (global.set $n (i32.const SEED)) (loop $more (call $one (call $rand)) (br $more))))`

// hoard makes as many objects of 16 bytes as possible, and keeps them.
const hoard = `(module (memory (export "memory") 1 1) (type $l (struct (field $next (ref null $l)) (field $x (mut i32))))
	(global $g (mut (ref null $l)) (ref.null $l))
	(func (export "_start") (loop $more (global.set $g (struct.new $l (global.get $g) (i32.const 1))) (br $more))))`

// TestHeapIsBounded: a garbage collection cannot be interrupted. So at any limit, a guest must not
// have so many objects that a collection takes long.
func TestHeapIsBounded(t *testing.T) {
	if !supported() {
		t.Log("this library has no garbage collection")
		return
	}
	e := newEngine(t)
	r, err := tryStart(t, e, wat(t, hoard), runtime.Spec{MemoryLimit: 4 << 30})
	if err != nil {
		t.Fatal(err)
	}
	exit := r.wait()
	if exit.Code != 137 || exit.Reason != runtime.OOMKilled || !strings.HasPrefix(exit.Message, "out of memory: the objects of a guest have 268435456 bytes at most") {
		t.Errorf("exit %+v", exit)
	}
}

// TestObjectsUnderPressure: guests that make and drop objects near their limits end because they
// have no memory left, or run until they are killed. The process that hosts them must never exit
// because of that: two advisories of 16 November 2026 concern this (docs/security-advisories.md).
func TestObjectsUnderPressure(t *testing.T) {
	if !supported() {
		t.Log("this library has no garbage collection")
		return
	}
	e := newEngine(t)
	ends := map[runtime.Reason]int{}
	for seed := 1; seed <= 5; seed++ {
		file := wat(t, strings.ReplaceAll(churn, "SEED", strconv.Itoa(seed*7919)))
		var all []*guestRun
		for i := range 10 {
			r, err := tryStart(t, e, file, runtime.Spec{MemoryLimit: int64(128+900*i) << 10})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		eventually.True(t, "the last of them has made many objects", func() bool { return all[9].process.Stats().CPU > 100*time.Millisecond })
		for _, r := range all {
			r.process.Stop(0)
			exit := r.wait()
			ends[exit.Reason]++
			if exit.Code != 137 {
				t.Errorf("exit %+v", exit)
			}
		}
	}
	if ends[runtime.OOMKilled] == 0 || ends[runtime.Error] == 0 {
		t.Errorf("not both ends: %v", ends)
	}
}
