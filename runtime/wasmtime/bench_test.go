package wasmtime

import (
	"fmt"
	"io"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// looped is a module that makes a host call n times, n being the number of the argument's bytes: the count is
// in the text, so that a benchmark makes one module for each size.
func looped(imports, setup, body string, n int) string {
	return fmt.Sprintf(`(module %s (memory (export "memory") 4)
		(func (export "_start") (local $n i32) (local.set $n (i32.const %d)) %s
			(loop $l %s (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`, imports, n, setup, body)
}

// benchmarkCalls measures one host call, as the guest sees it.
func benchmarkCalls(b *testing.B, imports, setup, body string) {
	const calls = 100_000
	e := newEngine(b)
	file := wat(b, looped(imports, setup, body, calls))
	run(b, e, file, runtime.Spec{}) // compile
	b.ResetTimer()
	for b.Loop() {
		run(b, e, file, runtime.Spec{})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
}

// run runs a module to its end, with its output thrown away.
func run(b *testing.B, e *Engine, file string, spec runtime.Spec) runtime.Exit {
	b.Helper()
	e.openLog = func(string) (containerLog, error) { return discarded{}, nil }
	spec.ID, spec.Module, spec.Digest = b.Name(), file, guests.Digest(b, file)
	spec.Mounts = []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}
	if spec.Args == nil {
		spec.Args = []string{"guest"}
	}
	p, err := e.Start(b.Context(), spec)
	if err != nil {
		b.Fatal(err)
	}
	<-p.Done()
	if exit := p.Exit(); exit.Code != 0 {
		b.Fatalf("exit %+v", exit)
	}
	return p.Exit()
}

func BenchmarkHostCall(b *testing.B) {
	b.Run("fd_tell", func(b *testing.B) { // into Go and back with the least to do there: an error
		benchmarkCalls(b, `(import "wasi_snapshot_preview1" "fd_tell" (func $f (param i32 i32) (result i32)))`, "",
			`(drop (call $f (i32.const 99) (i32.const 0)))`)
	})
	b.Run("clock_time_get", func(b *testing.B) {
		benchmarkCalls(b, `(import "wasi_snapshot_preview1" "clock_time_get" (func $f (param i32 i64 i32) (result i32)))`, "",
			`(drop (call $f (i32.const 1) (i64.const 1) (i32.const 0)))`)
	})
	for _, size := range []int{1, 4096} {
		b.Run(fmt.Sprintf("fd_write/%d", size), func(b *testing.B) {
			benchmarkCalls(b, `(import "wasi_snapshot_preview1" "fd_write" (func $f (param i32 i32 i32 i32) (result i32)))`,
				fmt.Sprintf(`(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const %d))`, size),
				`(drop (call $f (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))`)
		})
	}
	b.Run("path_open", func(b *testing.B) {
		benchmarkCalls(b, `(import "wasi_snapshot_preview1" "path_open" (func $f (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
			(import "wasi_snapshot_preview1" "fd_close" (func $c (param i32) (result i32))) (data (i32.const 0) "file")`, "",
			`(if (call $f (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)) (then unreachable))
			 (drop (call $c (i32.load (i32.const 8))))`)
	})
}

// firstByte tells when the first output comes.
type firstByte struct{ c chan struct{} }

func (f firstByte) Stdout() io.Writer { return f }
func (f firstByte) Stderr() io.Writer { return f }
func (f firstByte) Close() error      { return nil }
func (f firstByte) Write(p []byte) (int, error) {
	select {
	case f.c <- struct{}{}:
	default:
	}
	return len(p), nil
}

// BenchmarkStart is the time from Start to the guest's first output, with its code compiled.
func BenchmarkStart(b *testing.B) {
	for name, file := range map[string]string{"tiny": filepathTiny(b), "go": guests.Build(b, "hello")} {
		b.Run(name, func(b *testing.B) {
			e := newEngine(b)
			out := firstByte{make(chan struct{}, 1)}
			e.openLog = func(string) (containerLog, error) { return out, nil }
			spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Args: []string{"guest"}, Log: "x",
				Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
			once := func() {
				p, err := e.Start(b.Context(), spec)
				if err != nil {
					b.Fatal(err)
				}
				<-out.c
				b.StopTimer()
				p.Stop(0)
				<-p.Done()
				b.StartTimer()
			}
			once() // compile
			for b.Loop() {
				once()
			}
		})
	}
}
