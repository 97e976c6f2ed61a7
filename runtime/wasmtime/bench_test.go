package wasmtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// looped is a module that runs body n times after setup. The module contains n, so a benchmark
// makes one module for each n.
func looped(imports, setup, body string, n int) string {
	return fmt.Sprintf(`(module %s (memory (export "memory") 4)
		(func (export "_start") (local $n i32) (local $m i32) (local.set $n (i32.const %d)) %s
			(loop $l %s (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`, imports, n, setup, body)
}

// hostCall is a host call that is measured.
type hostCall struct {
	name, imports, setup, body string
}

const (
	importWrite = `(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))`
	importRead  = `(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))`
	importSeek  = `(import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))`
	importOpen  = `(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))`
	importClose = `(import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))`

	// nameData is the name of a file that exists, and an iovec of 4 KiB.
	nameData = `(data (i32.const 0) "file") (data (i32.const 32) "\00\10\00\00\00\10\00\00")`
	// openFile opens the file for reading and writing, and leaves its descriptor at 8.
	openFile = `(if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 102) (i64.const 0) (i32.const 0) (i32.const 8)) (then unreachable))`
	rewind   = `(if (call $seek (i32.load (i32.const 8)) (i64.const 0) (i32.const 0) (i32.const 16)) (then unreachable))`
)

// benchCalls are the measured host calls. wasmtime's own WASI has them, too.
func benchCalls() []hostCall {
	return []hostCall{
		// A call that does little in the host: it returns an error.
		{"fd_tell", `(import "wasi_snapshot_preview1" "fd_tell" (func $f (param i32 i32) (result i32)))`, "",
			`(drop (call $f (i32.const 99) (i32.const 0)))`},
		{"clock_time_get", `(import "wasi_snapshot_preview1" "clock_time_get" (func $f (param i32 i64 i32) (result i32)))`, "",
			`(drop (call $f (i32.const 1) (i64.const 1) (i32.const 0)))`},
		{"fd_write stdout 4096", importWrite + nameData, "",
			`(if (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 16)) (then unreachable))`},
		{"fd_write file 4096", importWrite + importSeek + importOpen + nameData, openFile,
			rewind + `(if (call $write (i32.load (i32.const 8)) (i32.const 32) (i32.const 1) (i32.const 16)) (then unreachable))`},
		{"fd_read file 4096", importRead + importSeek + importOpen + nameData, openFile,
			rewind + `(if (call $read (i32.load (i32.const 8)) (i32.const 32) (i32.const 1) (i32.const 16)) (then unreachable))`},
		{"path_open", importOpen + importClose + nameData, "",
			openFile + `(drop (call $close (i32.load (i32.const 8))))`},
	}
}

// BenchmarkHostCall compares calls of this host with those of wasmtime's own WASI, by processor
// time, because wall-clock time includes waits for other processes. Standard output is /dev/null
// for both.
func BenchmarkHostCall(b *testing.B) {
	const calls = 20_000
	root := b.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), make([]byte, 4096), 0o600); err != nil {
		b.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	e := newEngine(b)
	e.openLog = func(string, logfile.Rotation) (containerLog, error) { return fileLog{null}, nil }
	for _, c := range benchCalls() {
		file := wat(b, looped(c.imports, c.setup, c.body, calls))
		spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Command: runtime.Command{Args: []string{"guest"}}, Log: "x", Mounts: []runtime.Mount{{Host: root, Guest: "/"}}}
		report := func(b *testing.B, used time.Duration) {
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/calls, "cpu-ns/call")
			b.ReportMetric(0, "ns/op")
		}
		b.Run(c.name+"/here", func(b *testing.B) {
			var used time.Duration
			for b.Loop() {
				used += run(b, e, spec).CPU
			}
			report(b, used)
		})
		b.Run(c.name+"/wasmtime", func(b *testing.B) {
			var used time.Duration
			n := newNative(b, e, file)
			for b.Loop() {
				used += n.run(b, root)
			}
			report(b, used)
		})
	}
}

// fileLog writes a guest's output to a file, unchanged.
type fileLog struct{ f *os.File }

func (l fileLog) Stdout() io.Writer { return l.f }
func (l fileLog) Stderr() io.Writer { return l.f }
func (l fileLog) Close() error      { return nil }

// run runs a guest to its end.
func run(b *testing.B, e *Engine, spec runtime.Spec) runtime.Stats {
	b.Helper()
	p, err := e.Start(b.Context(), spec, runtime.Streams{})
	if err != nil {
		b.Fatal(err)
	}
	<-p.Done()
	if exit := p.Exit(); exit.Code != 0 {
		b.Fatalf("exit %+v", exit)
	}
	return p.Stats()
}

// native runs a module on wasmtime's own WASI.
type native struct {
	engine *wasmtimego.Engine
	linker *wasmtimego.Linker
	module *wasmtimego.Module
}

func newNative(b *testing.B, e *Engine, file string) *native {
	b.Helper()
	n := &native{engine: e.native, linker: wasmtimego.NewLinker(e.native)}
	if err := n.linker.DefineWasi(); err != nil {
		b.Fatal(err)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	if n.module, err = wasmtimego.NewModule(e.native, wasm); err != nil {
		b.Fatal(err)
	}
	return n
}

func (n *native) run(b *testing.B, root string) time.Duration {
	b.Helper()
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	store := wasmtimego.NewStore(n.engine)
	defer store.Close()
	store.SetEpochDeadline(1 << 40)
	cfg := wasmtimego.NewWasiConfig()
	if err := errors.Join(cfg.SetStdoutFile(os.DevNull), cfg.PreopenDir(root, "/", wasmtimego.DIR_READ|wasmtimego.DIR_WRITE, wasmtimego.FILE_READ|wasmtimego.FILE_WRITE)); err != nil {
		b.Fatal(err)
	}
	store.SetWasi(cfg)
	instance, err := n.linker.Instantiate(store, n.module)
	if err != nil {
		b.Fatal(err)
	}
	before := threadCPU(b)
	if _, err := instance.GetFunc(store, "_start").Call(store); err != nil {
		b.Fatal(err)
	}
	return threadCPU(b) - before
}

func threadCPU(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkLog is a guest that writes lines of 1 KB to its container's log file.
func BenchmarkLog(b *testing.B) {
	const total = 64 << 20
	for _, lines := range []int{1, 32} {
		b.Run(fmt.Sprintf("%d lines a call", lines), func(b *testing.B) {
			e := newEngine(b)
			size := lines << 10
			file := wat(b, looped(importWrite, fmt.Sprintf(`(i32.store (i32.const 32) (i32.const 4096)) (i32.store (i32.const 36) (i32.const %d))
				(memory.fill (i32.const 4096) (i32.const 120) (i32.const %d))
				(loop $nl (i32.store8 (i32.add (i32.const 5119) (local.get $m)) (i32.const 10))
					(br_if $nl (i32.lt_u (local.tee $m (i32.add (local.get $m) (i32.const 1024))) (i32.const %d))))`, size, size, size),
				`(if (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 16)) (then unreachable))`, total/size))
			dir := b.TempDir()
			spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Command: runtime.Command{Args: []string{"guest"}}, Log: filepath.Join(dir, "0.log"), Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
			b.SetBytes(total)
			var used time.Duration
			for b.Loop() {
				used += run(b, e, spec).CPU
				b.StopTimer()
				if err := os.Remove(spec.Log); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(total/1e6*float64(b.N)/used.Seconds(), "MB/cpu-s")
		})
	}
}

// BenchmarkAttached is a guest that writes 64 MB to an attached stream, as in an exec.
func BenchmarkAttached(b *testing.B) {
	e := newEngine(b)
	file := wat(b, loudText)
	spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Command: runtime.Command{Args: []string{"guest"}}, Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
	b.SetBytes(64 << 20)
	for b.Loop() {
		p, err := e.Start(b.Context(), spec, runtime.Streams{Stdout: io.Discard})
		if err != nil {
			b.Fatal(err)
		}
		<-p.Done()
	}
}

// firstByte notes the time of the first output.
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

// BenchmarkStart is the time from Start to the guest's first output, for compiled code: a module of
// 100 KB, and a Go program of 3 MB.
func BenchmarkStart(b *testing.B) {
	for _, c := range []struct{ name, file string }{
		{"tiny", filepathTiny(b)}, {"100 KB", largeModule(b)}, {"go 3 MB", guests.Build(b, "hello")},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := newEngine(b)
			out := firstByte{make(chan struct{}, 1)}
			e.openLog = func(string, logfile.Rotation) (containerLog, error) { return out, nil }
			spec := runtime.Spec{Module: c.file, Digest: guests.Digest(b, c.file), Command: runtime.Command{Args: []string{"guest"}}, Log: "x",
				Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
			var took latencies
			once := func() {
				began := time.Now()
				p, err := e.Start(b.Context(), spec, runtime.Streams{})
				if err != nil {
					b.Fatal(err)
				}
				<-out.c
				took = append(took, time.Since(began))
				p.Stop(0)
				<-p.Done()
			}
			once() // this compiles the module
			took = nil
			for b.Loop() {
				once()
			}
			b.ReportMetric(float64(took.percentile(50).Microseconds()), "p50-µs")
			b.ReportMetric(float64(took.percentile(99).Microseconds()), "p99-µs")
			b.ReportMetric(0, "ns/op") // ns/op would include the end of the guest
		})
	}
}

// largeModule is the guest tiny with 100 KB of functions that it never calls.
func largeModule(b *testing.B) string {
	b.Helper()
	text, err := os.ReadFile("../../hack/guests/tiny.wat")
	if err != nil {
		b.Fatal(err)
	}
	end := strings.LastIndexByte(string(text), ')')
	body := strings.Repeat(`(i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1234567)))`, 50)
	file := wat(b, string(text[:end])+strings.Repeat("(func (param i32) "+body+")", 120)+")")
	if info, err := os.Stat(file); err != nil || info.Size() < 80_000 || info.Size() > 130_000 {
		b.Fatalf("%v, %v", info, err)
	}
	return file
}

// BenchmarkFirstStart is the time from Start to the guest's first output when its code is on disk
// but not in memory.
func BenchmarkFirstStart(b *testing.B) {
	for _, c := range []struct{ name, file string }{{"tiny", filepathTiny(b)}, {"go 3 MB", guests.Build(b, "hello")}} {
		b.Run(c.name, func(b *testing.B) {
			e := newEngine(b)
			out := firstByte{make(chan struct{}, 1)}
			e.openLog = func(string, logfile.Rotation) (containerLog, error) { return out, nil }
			spec := runtime.Spec{Module: c.file, Digest: guests.Digest(b, c.file), Command: runtime.Command{Args: []string{"guest"}}, Log: "x",
				Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
			var took latencies
			for b.Loop() {
				began := time.Now()
				p, err := e.Start(b.Context(), spec, runtime.Streams{})
				if err != nil {
					b.Fatal(err)
				}
				<-out.c
				took = append(took, time.Since(began))
				p.Stop(0)
				<-p.Done()
				e.modules.forget(b, spec.Digest)
			}
			b.ReportMetric(float64(took[1:].percentile(50).Microseconds()), "p50-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// forget closes a module that no guest runs.
func (ms *modules) forget(t testing.TB, digest string) {
	var m *module
	eventually.True(t, "nothing runs the module", func() bool {
		ms.mu.Lock()
		defer ms.mu.Unlock()
		s := ms.byKey[digest]
		if s == nil || s.users > 0 {
			return false
		}
		m = s.u.(*module)
		delete(ms.byKey, digest)
		return true
	})
	m.close()
}
