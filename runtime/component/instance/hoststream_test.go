package instance_test

import (
	"bytes"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
)

// withStreams makes a component that has a stream and a future of the host, and gives the host
// others.
func withStreams(code string) string {
	return `(component
		(import "give" (func $give (result (stream u8))))
		(import "take" (func $take async (param "s" (stream u8)) (result u32)))
		(import "promise" (func $promise (result (future u32))))
		(import "await" (func $await async (param "f" (future u32)) (result u32)))
		(type $S (stream u8)) (type $F (future u32))
		(core module $Memory (memory (export "mem") 2))
		(core instance $memory (instantiate $Memory))
		(core func $give (canon lower (func $give)))
		(core func $take (canon lower (func $take) async (memory $memory "mem")))
		(core func $take-sync (canon lower (func $take)))
		(core func $promise (canon lower (func $promise)))
		(core func $await (canon lower (func $await)))
		(core func $new (canon stream.new $S))
		(core func $read (canon stream.read $S (memory $memory "mem")))
		(core func $write (canon stream.write $S (memory $memory "mem")))
		(core func $drop-readable (canon stream.drop-readable $S))
		(core func $drop-writable (canon stream.drop-writable $S))
		(core func $future.new (canon future.new $F))
		(core func $future.read (canon future.read $F (memory $memory "mem")))
		(core module $M (import "" "mem" (memory 2))
			(import "" "give" (func $give (result i32)))
			(import "" "take" (func $take (param i32 i32) (result i32)))
			(import "" "take-sync" (func $take-sync (param i32) (result i32)))
			(import "" "promise" (func $promise (result i32)))
			(import "" "await" (func $await (param i32) (result i32)))
			(import "" "new" (func $new (result i64)))
			(import "" "read" (func $read (param i32 i32 i32) (result i32)))
			(import "" "write" (func $write (param i32 i32 i32) (result i32)))
			(import "" "drop-readable" (func $drop-readable (param i32)))
			(import "" "drop-writable" (func $drop-writable (param i32)))
			(import "" "future.read" (func $future.read (param i32 i32) (result i32)))
			(func (export "run") (result i32) (local $s i32) (local $got i32) (local $sum i32) ` + code + `))
		(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem"))
			(export "give" (func $give)) (export "take" (func $take)) (export "take-sync" (func $take-sync))
			(export "promise" (func $promise)) (export "await" (func $await)) (export "new" (func $new))
			(export "read" (func $read)) (export "write" (func $write)) (export "drop-readable" (func $drop-readable))
			(export "drop-writable" (func $drop-writable)) (export "future.read" (func $future.read))))))
		(func (export "run") async (result u32) (canon lift (core func $m "run"))))`
}

// streams is a host that gives text in parts, and keeps what it takes.
type streams struct {
	text  []byte
	taken bytes.Buffer
	ended bool // the guest's stream
}

var (
	byteCodec   = instance.Codec[byte]{}
	numberCodec = instance.Codec[uint32]{
		Lower: func(to canon.Place, v uint32) { to.U32(v) },
		Lift:  func(from canon.Value) uint32 { return from.U32() },
	}
)

// give is a function of the host: another goroutine has the parts.
func (s *streams) give(c *canon.Call) {
	x := instance.Of(c)
	w, handle := instance.NewStream(x, c.Func.Result, byteCodec)
	rest := s.text
	var next func()
	next = func() {
		if len(rest) == 0 {
			w.Close()
			return
		}
		w.Write(rest[:min(len(rest), 1000)], func(n int, dropped bool) {
			rest = rest[n:]
			if dropped {
				s.ended = true
				w.Close()
				return
			}
			go x.Post(next)
		})
	}
	go x.Post(next)
	c.Result().Handle(handle)
}

// take is a function of the host: it returns how much it took when the writer is gone.
func (s *streams) take(c *canon.Call) {
	x := instance.Of(c)
	r := instance.ReadStream(x, c.Arg(0).Handle(), byteCodec)
	done := c.Task.Later(c, nil)
	var next func()
	next = func() {
		r.Read(700, func(b []byte) { s.taken.Write(b) }, func(_ int, dropped bool) {
			if !dropped {
				next()
				return
			}
			s.ended = true
			r.Close()
			done(func(c *canon.Call) { c.Result().U32(uint32(s.taken.Len())) })
		})
	}
	next()
}

func (s *streams) promise(c *canon.Call) {
	w, handle := instance.NewFuture(instance.Of(c), c.Func.Result, numberCodec)
	go instance.Of(c).Post(func() { w.Write(99) })
	c.Result().Handle(handle)
}

func (s *streams) await(c *canon.Call) {
	r := instance.ReadFuture(instance.Of(c), c.Arg(0).Handle(), numberCodec)
	done := c.Task.Later(c, nil)
	r.Read(func(v uint32) { done(func(c *canon.Call) { c.Result().U32(v + 1) }) })
}

func (s *streams) functions() functions {
	return functions{"give": s.give, "take": s.take, "promise": s.promise, "await": s.await}
}

// TestStreamOfHost has a guest read all of a stream of the host.
func TestStreamOfHost(t *testing.T) {
	host := &streams{text: bytes.Repeat([]byte{3}, 100_000)}
	mustReturn(t, start(t, withStreams(`
		(local.set $s (call $give))
		(loop
			(local.set $got (call $read (local.get $s) (i32.const 0) (i32.const 800)))
			(local.set $sum (i32.add (local.get $sum) (i32.shr_u (local.get $got) (i32.const 4))))
			(br_if 0 (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
		(call $drop-readable (local.get $s))
		(if (i32.ne (i32.load8_u (i32.const 799)) (i32.const 3)) (then unreachable))
		(local.get $sum)`), host.functions()), 100_000, "run")
}

// TestReaderGoes has a guest read a part of a stream of the host.
func TestReaderGoes(t *testing.T) {
	host := &streams{text: make([]byte, 5000)}
	x := start(t, withStreams(`
		(local.set $s (call $give))
		(drop (call $read (local.get $s) (i32.const 0) (i32.const 800)))
		(call $drop-readable (local.get $s))
		(i32.const 1)`), host.functions())
	mustReturn(t, x, 1, "run")
	eventually.True(t, "the host heard that the reader is gone", func() bool {
		if err := x.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		return host.ended
	})
}

// TestStreamToHost has a guest write a stream to the host.
func TestStreamToHost(t *testing.T) {
	host := &streams{}
	x := start(t, withStreams(`(local $both i64) (local $task i32)
		(memory.fill (i32.const 0) (i32.const 7) (i32.const 2000))
		(local.set $both (call $new))
		(local.set $s (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))))
		(drop (call $take (i32.wrap_i64 (local.get $both)) (i32.const 4096)))
		(loop
			(local.set $got (i32.shr_u (call $write (local.get $s) (local.get $sum) (i32.sub (i32.const 2000) (local.get $sum))) (i32.const 4)))
			(local.set $sum (i32.add (local.get $sum) (local.get $got)))
			(br_if 0 (i32.ne (local.get $sum) (i32.const 2000))))
		(call $drop-writable (local.get $s))
		(local.get $sum)`), host.functions())
	mustReturn(t, x, 2000, "run")
	if err := x.Settle(t.Context()); err != nil || !host.ended || !bytes.Equal(host.taken.Bytes(), bytes.Repeat([]byte{7}, 2000)) {
		t.Errorf("the host took %d bytes, and the instance settled with %v", host.taken.Len(), err)
	}
}

// TestStreamThroughGuest has a guest give the host's stream back to the host.
func TestStreamThroughGuest(t *testing.T) {
	host := &streams{text: bytes.Repeat([]byte("abc"), 10_000)}
	mustReturn(t, start(t, withStreams(`(call $take-sync (call $give))`), host.functions()), 30_000, "run")
	if !bytes.Equal(host.taken.Bytes(), host.text) {
		t.Error("the host took other bytes than it gave")
	}
}

// TestFutureOfHost has a guest read a future of the host, and give it one.
func TestFutureOfHost(t *testing.T) {
	host := &streams{}
	mustReturn(t, start(t, withStreams(`
		(drop (call $future.read (call $promise) (i32.const 16)))
		(i32.load (i32.const 16))`), host.functions()), 99, "run")
	mustReturn(t, start(t, withStreams(`(call $await (call $promise))`), host.functions()), 100, "run")
}
