package wasmtime

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// idler is something that a guest may be doing when it is killed.
type idler struct {
	name    string
	file    string
	spec    runtime.Spec
	streams func(t testing.TB) runtime.Streams
}

// idlers are all of these, except waiting for the compilation of its module.
func idlers(t testing.TB) []idler {
	none := func(testing.TB) runtime.Streams { return runtime.Streams{} }
	// open has pipes whose other ends are never used.
	open := func(t testing.TB) runtime.Streams {
		in, inEnd := io.Pipe()
		outEnd, out := io.Pipe()
		t.Cleanup(func() { _, _ = inEnd.Close(), outEnd.Close() })
		return runtime.Streams{Stdin: in, Stdout: out}
	}
	return []idler{
		{name: "spins", file: wat(t, spinText), streams: none},
		{name: "sleeps", file: filepathTiny(t), streams: none},
		{name: "reads", streams: open, file: wat(t, `(module (import "wasi_snapshot_preview1" "fd_read" (func $f (param i32 i32 i32 i32) (result i32)))
			(memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\10\00\00\00")
			(func (export "_start") (drop (call $f (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) unreachable))`)},
		{name: "writes", streams: open, file: wat(t, `(module (import "wasi_snapshot_preview1" "fd_write" (func $f (param i32 i32 i32 i32) (result i32)))
			(memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\00\10\00\00")
			(func (export "_start") (loop $l (drop (call $f (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l))))`)},
		{name: "accepts", streams: none, spec: runtime.Spec{Command: runtime.Command{Listen: []string{"127.0.0.1:0"}}}, file: wat(t, `(module
			(import "wasi_snapshot_preview1" "sock_accept" (func $f (param i32 i32 i32) (result i32)))
			(memory (export "memory") 1)
			(func (export "_start") (drop (call $f (i32.const 3) (i32.const 0) (i32.const 8))) unreachable))`)},
	}
}

func (i idler) start(t testing.TB, e *Engine, root string) runtime.Guest {
	t.Helper()
	spec := i.spec
	spec.Module, spec.Digest, spec.Args = i.file, guests.Digest(t, i.file), []string{"guest"}
	spec.Mounts = []runtime.Mount{{Host: root, Guest: "/"}}
	p, err := e.Start(t.Context(), spec, i.streams(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// latencies are measured durations.
type latencies []time.Duration

func (l latencies) percentile(p float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	return l[min(int(p/100*float64(len(l))), len(l)-1)]
}

// TestKillEndsEveryGuest kills guests that do all these things at the same time. The benchmark
// measures the speed; the bound here is for a busy machine.
func TestKillEndsEveryGuest(t *testing.T) {
	e := newEngine(t)
	root := t.TempDir()
	type one struct {
		name string
		p    runtime.Guest
	}
	var all []one
	for range 20 {
		for _, kind := range idlers(t) {
			all = append(all, one{kind.name, kind.start(t, e, root)})
		}
	}
	for _, o := range all {
		began := time.Now()
		o.p.Stop(0)
		<-o.p.Done()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("a guest that %s took %v to end", o.name, took)
		}
		if exit := o.p.Exit(); exit.Code != 137 {
			t.Errorf("a guest that %s: exit %+v", o.name, exit)
		}
	}
}

// TestStartGivesUpWhileItCompiles: a start that waits for the compiler returns when its context
// ends.
func TestStartGivesUpWhileItCompiles(t *testing.T) {
	e := newCompilingEngine(t, func(c *Config) { c.Compiler = []string{"/bin/sh", "-c", "exec sleep 1000"} })
	file := filepathTiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := e.Start(ctx, runtime.Spec{Module: file, Digest: guests.Digest(t, file), Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}, runtime.Streams{})
		ended <- err
	}()
	eventually.True(t, "it compiles", func() bool { return len(children(t)) == 1 })
	began := time.Now()
	cancel()
	<-ended
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to give up", took)
	}
}

// BenchmarkKill is the time from the kill to the end of one guest among 500. There are equally many
// of each kind.
func BenchmarkKill(b *testing.B) {
	e := newEngine(b)
	root := b.TempDir()
	kinds := idlers(b)
	running := crowd(b, e, root, kinds)
	took := map[string]latencies{}
	var all latencies
	n := 0
	for b.Loop() {
		i := (n * 7) % len(running) // 7 and 500 have no common factor, so each guest has its turn, and the kinds are mixed
		n++
		began := time.Now()
		running[i].Stop(0)
		<-running[i].Done()
		d := time.Since(began)
		kind := kinds[i%len(kinds)]
		took[kind.name] = append(took[kind.name], d)
		all = append(all, d)
		b.StopTimer()
		running[i] = kind.start(b, e, root)
		b.StartTimer()
	}
	b.StopTimer()
	b.ReportMetric(float64(all.percentile(50).Microseconds()), "p50-µs")
	b.ReportMetric(float64(all.percentile(99).Microseconds()), "p99-µs")
	b.ReportMetric(float64(all.percentile(100).Microseconds()), "max-µs")
	for _, kind := range kinds {
		b.ReportMetric(float64(took[kind.name].percentile(99).Microseconds()), fmt.Sprintf("%s-p99-µs", kind.name))
	}
	disperse(running)
}

// crowd is 500 guests, equally many of each kind.
func crowd(b *testing.B, e *Engine, root string, kinds []idler) (running []runtime.Guest) {
	for i := range 500 {
		running = append(running, kinds[i%len(kinds)].start(b, e, root))
	}
	return running
}

func disperse(running []runtime.Guest) {
	var wg sync.WaitGroup
	for _, p := range running {
		wg.Go(func() {
			p.Stop(0)
			<-p.Done()
		})
	}
	wg.Wait()
}

// BenchmarkKillCompiling is the time from the end of the context to the return of a start that is
// compiling, with 500 other guests.
func BenchmarkKillCompiling(b *testing.B) {
	e := newCompilingEngine(b, func(c *Config) { c.Compiler = []string{"/bin/sh", "-c", "exec sleep 1000"} })
	crowded := newEngine(b)
	root := b.TempDir()
	running := crowd(b, crowded, root, idlers(b))
	file := filepathTiny(b)
	spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Mounts: []runtime.Mount{{Host: root, Guest: "/"}}}
	var took latencies
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := e.Start(ctx, spec, runtime.Streams{})
			ended <- err
		}()
		eventually.True(b, "it compiles", func() bool { return len(children(b)) == 1 })
		began := time.Now()
		cancel()
		if err := <-ended; err == nil {
			b.Fatal("it was started")
		}
		took = append(took, time.Since(began))
		eventually.True(b, "the compiler has exited", func() bool { return len(children(b)) == 0 })
	}
	b.ReportMetric(float64(took.percentile(50).Microseconds()), "p50-µs")
	b.ReportMetric(float64(took.percentile(99).Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op")
	disperse(running)
}

// BenchmarkAnswer is the time that a guest needs for an answer, while 50 other guests spin.
func BenchmarkAnswer(b *testing.B) {
	e := newEngine(b)
	root := b.TempDir()
	kinds := idlers(b)
	var spinning []runtime.Guest
	for range 50 {
		spinning = append(spinning, kinds[0].start(b, e, root))
	}
	file := wat(b, `(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00")
		(func (export "_start") (loop $l
			(if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
			(if (i32.eqz (i32.load (i32.const 8))) (then (return)))
			(if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
			(br $l))))`)
	in, question := io.Pipe()
	answer, out := io.Pipe()
	p := attachTo(b, e, file, "", runtime.Streams{Stdin: in, Stdout: out})
	var took latencies
	letter := []byte{'x'}
	for b.Loop() {
		time.Sleep(5 * time.Millisecond) // the guest is idle during this time
		began := time.Now()
		if _, err := question.Write(letter); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(answer, letter); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	b.ReportMetric(float64(took.percentile(50).Microseconds()), "p50-µs")
	b.ReportMetric(float64(took.percentile(99).Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op")
	_ = question.Close()
	<-p.Done()
	for _, p := range spinning {
		p.Stop(0)
	}
	for _, p := range spinning {
		<-p.Done()
	}
}
