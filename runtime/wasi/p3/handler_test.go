package p3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// handler is a handler as toolchains make one: it consumes the request's body, says hello in one
// of its own, and waits in a callback, without a stack. Before it reads the body, it does nothing
// (pause is 0), or lets others run (1).
func handler(pause int) string {
	return fmt.Sprintf(`(component `+imports+`
		(core module $Memory (memory (export "mem") 1)
			(data (i32.const 16) "content-length") (data (i32.const 32) "6") (data (i32.const 48) "hello\n")
			(func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
		(core instance $memory (instantiate $Memory))
		(core func $consume (canon lower (func $http "[static]request.consume-body") `+options+`))
		(core func $fields (canon lower (func $http "[constructor]fields")))
		(core func $append (canon lower (func $http "[method]fields.append") `+options+`))
		(core func $response (canon lower (func $http "[static]response.new") `+options+`))
		(core func $return (canon task.return (result (result (own $response) (error $http-code))) (memory $memory "mem")))
		(core func $stream (canon stream.new $bytes))
		(core func $write (canon stream.write $bytes async (memory $memory "mem")))
		(core func $read (canon stream.read $bytes async (memory $memory "mem")))
		(core func $drop-writable (canon stream.drop-writable $bytes))
		(core func $drop-readable (canon stream.drop-readable $bytes))
		(core func $trailers (canon future.new $trailer-future))
		(core func $trailers-write (canon future.write $trailer-future async `+options+`))
		(core func $trailers-drop (canon future.drop-writable $trailer-future))
		(core func $trailers-read (canon future.read $trailer-future async `+options+`))
		(core func $trailers-drop-readable (canon future.drop-readable $trailer-future))
		(core func $sent (canon future.new $sent-future))
		(core func $sent-write (canon future.write $sent-future async `+options+`))
		(core func $sent-drop (canon future.drop-writable $sent-future))
		(core func $sent-drop-readable (canon future.drop-readable $sent-future))
		(core func $get (canon context.get i32 0))
		(core func $set (canon context.set i32 0))
		(core module $M (import "" "mem" (memory 1))
			(import "" "consume" (func $consume (param i32 i32 i32)))
			(import "" "fields" (func $fields (result i32)))
			(import "" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
			(import "" "response" (func $response (param i32 i32 i32 i32 i32)))
			(import "" "return" (func $return (param i32 i32 i32 i64 i32 i32 i32 i32)))
			(import "" "stream" (func $stream (result i64)))
			(import "" "write" (func $write (param i32 i32 i32) (result i32)))
			(import "" "read" (func $read (param i32 i32 i32) (result i32)))
			(import "" "drop-writable" (func $drop-writable (param i32)))
			(import "" "drop-readable" (func $drop-readable (param i32)))
			(import "" "trailers" (func $trailers (result i64)))
			(import "" "trailers-write" (func $trailers-write (param i32 i32) (result i32)))
			(import "" "trailers-drop" (func $trailers-drop (param i32)))
			(import "" "trailers-read" (func $trailers-read (param i32 i32) (result i32)))
			(import "" "trailers-drop-readable" (func $trailers-drop-readable (param i32)))
			(import "" "sent" (func $sent (result i64)))
			(import "" "sent-write" (func $sent-write (param i32 i32) (result i32)))
			(import "" "sent-drop" (func $sent-drop (param i32)))
			(import "" "sent-drop-readable" (func $sent-drop-readable (param i32)))
			(import "" "get" (func $get (result i32)))
			(import "" "set" (func $set (param i32)))
			(func $high (param i64) (result i32) (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 32))))
			(func $is (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then unreachable)))
			(func (export "handle") (param $request i32) (result i32) (local $both i64) (local $headers i32)
				(local.set $both (call $sent))
				(call $consume (local.get $request) (i32.wrap_i64 (local.get $both)) (i32.const 128))
				(call $is (call $sent-write (call $high (local.get $both)) (i32.const 1024)) (i32.const 0))
				(call $sent-drop (call $high (local.get $both)))
				(call $is (call $read (i32.load (i32.const 128)) (i32.const 2048) (i32.const 4096)) (i32.const 1))
				(call $drop-readable (i32.load (i32.const 128)))
				(call $is (call $trailers-read (i32.load (i32.const 132)) (i32.const 256)) (i32.const 0))
				(call $trailers-drop-readable (i32.load (i32.const 132)))

				(local.set $headers (call $fields))
				(call $append (local.get $headers) (i32.const 16) (i32.const 14) (i32.const 32) (i32.const 1) (i32.const 256))
				(local.set $both (call $stream))
				(call $set (call $high (local.get $both)))
				(i64.store (i32.const 512) (call $trailers))
				(call $response (local.get $headers) (i32.const 1) (i32.wrap_i64 (local.get $both)) (i32.load (i32.const 512)) (i32.const 128))
				(call $sent-drop-readable (i32.load (i32.const 132)))
				(call $return (i32.const 0) (i32.load (i32.const 128)) (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
				(call $is (call $trailers-write (i32.load (i32.const 516)) (i32.const 1024)) (i32.const 0))
				(call $trailers-drop (i32.load (i32.const 516)))
				(call $is (call $write (call $get) (i32.const 48) (i32.const 3)) (i32.const 48))
				(if (i32.const %d) (then (return (i32.const 1))))
				(call $rest))
			(func $rest (result i32)
				(call $is (call $write (call $get) (i32.const 51) (i32.const 3)) (i32.const 48))
				(call $drop-writable (call $get))
				(i32.const 0))
			(func (export "cb") (param i32 i32 i32) (result i32) (call $rest)))
		(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem"))
			(export "consume" (func $consume)) (export "fields" (func $fields)) (export "append" (func $append))
			(export "response" (func $response)) (export "return" (func $return)) (export "stream" (func $stream))
			(export "write" (func $write)) (export "read" (func $read)) (export "drop-writable" (func $drop-writable))
			(export "drop-readable" (func $drop-readable)) (export "trailers" (func $trailers))
			(export "trailers-write" (func $trailers-write)) (export "trailers-drop" (func $trailers-drop))
			(export "trailers-read" (func $trailers-read)) (export "trailers-drop-readable" (func $trailers-drop-readable))
			(export "sent" (func $sent)) (export "sent-write" (func $sent-write)) (export "sent-drop" (func $sent-drop))
			(export "sent-drop-readable" (func $sent-drop-readable)) (export "get" (func $get)) (export "set" (func $set))))))
		(func $handle async (param "request" (own $request)) (result (result (own $response) (error $http-code)))
			(canon lift (core func $m "handle") async (memory $memory "mem") (callback (func $m "cb"))))
		(instance $handler (export "handle" (func $handle)))
		(export "wasi:http/handler@0.3.0" (instance $handler)))`, pause)
}

// handlerOf makes an instance of a handler, and returns what answers an exchange with it.
func handlerOf(t testing.TB, text string) (host *p3.Host, x *instance.Instance, answer func(e *http.Exchange) error) {
	t.Helper()
	c, err := componentengine.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	must(validate.Validate(c))
	linked, err := link.Link(c)
	must(err)
	p, err := instance.Bind(linked, typed.Tables{&bindings.Table})
	must(err)
	engine, err := componentengine.New(linked.Plan)
	must(err)
	of, err := wasi.New(wasi.Config{Confined: true, Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}})
	must(err)
	host = p3.New(t.Context(), of)
	x, err = instance.New(p, engine, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		x.Close()
		if err := errors.Join(host.Close(), of.CloseInitial(), of.Close()); err != nil {
			t.Errorf("closing the guest: %v", err)
		}
	})
	handle := linked.Exports.Instance("wasi:http/handler@0.3.0").Func("handle")
	return host, x, func(e *http.Exchange) error {
		err := x.Call(context.Background(), handle, func(args canon.Place) {
			r, err := host.Request(x, e)
			typed.Check(err)
			bindings.LowerHandlerHandleArgs(args, r)
		}, func(v canon.Value) {
			r, err := bindings.LiftHandlerHandleResult(v)
			if err != nil {
				host.Fail(e, err)
				return
			}
			host.Respond(e, r)
		})
		if err != nil {
			return err
		}
		return x.Settle(context.Background())
	}
}

// TestManyAtOnce has 16 requests at a time answered by one instance, each by a server of its own,
// 10,000 times: nothing grows.
func TestManyAtOnce(t *testing.T) {
	const servers, each = 16, 625
	host, x, answer := handlerOf(t, handler(1))
	round := func(n int) {
		var all sync.WaitGroup
		for range servers {
			all.Go(func() {
				for range n {
					s := newServer(t, "GET")
					ended := make(chan struct{})
					s.OnChange(func() {})
					var got strings.Builder
					all.Go(func() {
						defer close(ended)
						for {
							there := make(chan struct{})
							s.Answer.OnBytes(func() { close(there) })
							<-there
							b, err := s.Answer.Bytes()
							if err != nil {
								if !errors.Is(err, io.EOF) {
									t.Errorf("the answer ends with %v", err)
								}
								return
							}
							got.Write(b)
							s.Answer.Discard(len(b))
						}
					})
					if err := answer(s.Exchange); err != nil {
						t.Errorf("the guest ended with %v", err)
						s.Fail(err)
					}
					if <-ended; got.String() != "hello\n" {
						t.Errorf("the answer is %q", got.String())
					}
					s.Free()
				}
			})
		}
		all.Wait()
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	round(10)
	before := heap()
	round(each)
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes are in memory that were not before", grown)
	}
	if err := x.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if objects, bytes := host.HTTPUsed(); objects != 0 || bytes != 0 || host.Open() != 0 {
		t.Errorf("%d objects with %d bytes, and %d streams, are left", objects, bytes, host.Open())
	}
}

// TestToldOnce has an answer that is there when the guest's task ends: its server is told of one
// response and one end.
func TestToldOnce(t *testing.T) {
	_, _, answer := handlerOf(t, handler(0))
	s := newServer(t, "GET")
	bytes := 0
	s.Answer.OnBytes(func() { bytes++ })
	if err := answer(s.Exchange); err != nil {
		t.Fatal(err)
	}
	if s.told != 1 || bytes != 1 {
		t.Errorf("the server was told of %d responses and %d times of bytes", s.told, bytes)
	}
	s.is(200, "hello\n", io.EOF.Error())
}

// BenchmarkHello has a small answer made, with the calls of the slow engine of tests.
func BenchmarkHello(b *testing.B) {
	_, _, answer := handlerOf(b, handler(0))
	b.ReportAllocs()
	for b.Loop() {
		s := newServer(b, "GET", http.Field{A: "accept", B: []byte("*/*")})
		if err := answer(s.Exchange); err != nil {
			b.Fatal(err)
		}
		if !s.Answer.Ended() {
			b.Fatal("the answer has no end")
		}
		s.Free()
	}
}
