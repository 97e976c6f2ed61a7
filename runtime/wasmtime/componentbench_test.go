package wasmtime

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// componentCall is a call of a function of WASI 0.2, or of a stub.
type componentCall struct {
	name    string
	imports string // of the component
	lowered string // core functions
	core    string // imports of the core module
	setup   string // before the loop: $h is for a handle
	body    string
	bytes   int64 // that a call moves
}

// loopOf is a component that exports a function which makes a call n times. Its realloc always
// gives the same address. There is a name of 32 characters at 16.
func (c componentCall) loopOf(n int, export string) string {
	with := ""
	for _, line := range strings.Split(c.lowered, "(core func $")[1:] {
		name := line[:strings.IndexByte(line, ' ')]
		with += fmt.Sprintf("(export %q (func $%s))", name, name)
	}
	return fmt.Sprintf(`(component %s
		(core module $memory (memory (export "memory") 4)
			(data (i32.const 16) "a-name-that-has-32-characters---")
			(func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 131072)))
		(core instance $m (instantiate $memory))
		%s
		(core module $main (import "memory" "memory" (memory 4)) %s
			(func (export "run") (result i32) (local $n i32) (local $h i32) (local.set $n (i32.const %d)) %s
				(loop $l %s (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
				(i32.const 0)))
		(core instance $i (instantiate $main (with "memory" (instance $m)) (with "host" (instance %s))))
		(func $run (result (result)) (canon lift (core func $i "run")))
		%s)`, c.imports, c.lowered, c.core, n, c.setup, c.body, with, export)
}

const exportRun = `(instance $cli (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $cli))`

// componentCalls are the measured calls of WASI 0.2.
func componentCalls() []componentCall {
	return []componentCall{
		{name: "now", imports: `(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))`,
			lowered: `(core func $now (canon lower (func $clock "now")))`,
			core:    `(import "host" "now" (func $now (result i64)))`,
			body:    `(drop (call $now))`},
		{name: "write 64 KiB", imports: `(import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
			(alias export $error "error" (type $error-type))
			(import "wasi:io/streams@0.2.0" (instance $streams
				(alias outer 1 $error-type (type $e0)) (export "error" (type $e (eq $e0)))
				(export "output-stream" (type $out (sub resource)))
				(type $stream-error (variant (case "last-operation-failed" (own $e)) (case "closed")))
				(export "stream-error" (type $se (eq $stream-error)))
				(export "[method]output-stream.check-write" (func (param "self" (borrow $out)) (result (result u64 (error $se)))))
				(export "[method]output-stream.write"
					(func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))))
			(alias export $streams "output-stream" (type $out))
			(import "wasi:cli/stdout@0.2.0" (instance $stdout
				(alias outer 1 $out (type $o0)) (export "output-stream" (type $o (eq $o0)))
				(export "get-stdout" (func (result (own $o))))))`,
			lowered: `(core func $get-stdout (canon lower (func $stdout "get-stdout")))
				(core func $check (canon lower (func $streams "[method]output-stream.check-write") (memory $m "memory")))
				(core func $write (canon lower (func $streams "[method]output-stream.write") (memory $m "memory")))`,
			core: `(import "host" "get-stdout" (func $get-stdout (result i32))) (import "host" "check" (func $check (param i32 i32)))
				(import "host" "write" (func $write (param i32 i32 i32 i32)))`,
			setup: `(local.set $h (call $get-stdout))`,
			body: `(call $check (local.get $h) (i32.const 64))
				(call $write (local.get $h) (i32.const 65536) (i32.const 65536) (i32.const 64))
				(if (i32.load8_u (i32.const 64)) (then unreachable))`,
			bytes: 64 << 10},
	}
}

// stubCalls are calls of functions that do nothing but take or give a value.
func stubCalls() []componentCall {
	taker := func(name, param string, at, size int) componentCall {
		return componentCall{name: name, imports: fmt.Sprintf(`(import "take" (func $take (param "x" %s)))`, param),
			lowered: `(core func $take (canon lower (func $take) (memory $m "memory")))`,
			core:    `(import "host" "take" (func $take (param i32 i32)))`,
			body:    fmt.Sprintf(`(call $take (i32.const %d) (i32.const %d))`, at, size)}
	}
	text, list := taker("string of 32", "string", 16, 32), taker("64 KiB to the host", "(list u8)", 65536, 65536)
	list.bytes = 64 << 10
	return []componentCall{
		{name: "number", imports: `(import "number" (func $number (param "x" u32) (result u32)))`,
			lowered: `(core func $number (canon lower (func $number)))`,
			core:    `(import "host" "number" (func $number (param i32) (result i32)))`,
			body:    `(drop (call $number (local.get $n)))`},
		text, list,
		{name: "64 KiB to the guest", imports: `(import "give" (func $give (result (list u8))))`,
			lowered: `(core func $give (canon lower (func $give) (memory $m "memory") (realloc (func $m "realloc"))))`,
			core:    `(import "host" "give" (func $give (param i32)))`,
			body:    `(call $give (i32.const 64))`, bytes: 64 << 10},
	}
}

// stubs are what stubCalls call, as witgen writes it.
type stubs struct{ taken int }

// Function implements instance.Host.
func (s *stubs) Function(_, name string, f *types.Func) (canon.Stub, error) {
	given := make([]byte, 64<<10)
	switch {
	case name == "number":
		return func(c *canon.Call) { c.Result().U32(c.Arg(0).U32()) }, nil
	case name == "give":
		return func(c *canon.Call) { c.Result().Bytes(given) }, nil
	case f.Params[0].Type.Kind == types.String:
		return func(c *canon.Call) { s.taken += len(c.Arg(0).String()) }, nil
	}
	return func(c *canon.Call) { s.taken += len(c.Arg(0).Bytes()) }, nil
}

// reportCalls reports the processor time of calls.
func reportCalls(b *testing.B, used time.Duration, calls int, size int64) {
	each := float64(used.Nanoseconds()) / float64(b.N) / float64(calls)
	b.ReportMetric(each, "cpu-ns/call")
	if size > 0 {
		b.ReportMetric(float64(size)/each, "GB/cpu-s")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkComponentCall is a component's call of WASI 0.2, by processor time. Standard output is
// discarded.
func BenchmarkComponentCall(b *testing.B) {
	const calls = 200_000 // the start of the guest does not count beside them
	e := newEngine(b)
	for _, c := range componentCalls() {
		file := wat(b, c.loopOf(calls, exportRun))
		spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Command: runtime.Command{Args: []string{"guest"}}, Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
		b.Run(c.name, func(b *testing.B) {
			var used time.Duration
			for b.Loop() {
				used += run(b, e, spec).CPU
			}
			reportCalls(b, used, calls, c.bytes)
		})
	}
}

// inMachine is a component in an engine, without a guest.
type inMachine struct {
	program *instance.Program
	plan    *componentPlan
	engine  *Engine
	hosted  *hosted
}

func newInMachine(b *testing.B, e *Engine, linked *link.Component, host instance.Host) *inMachine {
	b.Helper()
	program, err := instance.Bind(linked, host)
	if err != nil {
		b.Fatal(err)
	}
	p, err := e.modules.plan(b.Context(), linked.Plan, maxMemory, false)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.close)
	e.ticker.Acquire()
	b.Cleanup(e.ticker.Release)
	return &inMachine{program, p, e, &hosted{ctx: b.Context(), pace: processor.NewPace(e.turns, 0)}}
}

// once makes an instance, and closes it after use.
func (m *inMachine) once(b *testing.B, use func(x *instance.Instance)) {
	a, err := newAccount(maxMemory)
	if err != nil {
		b.Fatal(err)
	}
	defer a.close()
	made, err := m.engine.newMachine(m.plan, m.hosted, a, false)
	if err != nil {
		b.Fatal(err)
	}
	defer made.close()
	end, err := made.Thread()
	if err != nil {
		b.Fatal(err)
	}
	defer end()
	x, err := instance.New(m.program, stores{made}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	use(x)
}

func linkFile(b *testing.B, file string) *link.Component {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	c, err := binary.Decode(text)
	if err != nil {
		b.Fatal(err)
	}
	if err := validate.Validate(c); err != nil {
		b.Fatal(err)
	}
	linked, err := link.Link(c)
	if err != nil {
		b.Fatal(err)
	}
	return linked
}

// BenchmarkComponentValue is a call that does nothing but pass a value, by processor time.
func BenchmarkComponentValue(b *testing.B) {
	const calls = 20_000
	e := newEngine(b)
	for _, c := range stubCalls() {
		m := newInMachine(b, e, linkFile(b, wat(b, c.loopOf(calls, `(export "run" (func $run))`))), &stubs{})
		b.Run(c.name, func(b *testing.B) {
			goruntime.LockOSThread() // a benchmark has a goroutine of its own
			var used time.Duration
			m.once(b, func(x *instance.Instance) {
				for b.Loop() {
					before := threadCPU(b)
					if err := x.Call(b.Context(), x.Exports().Func("run"), nil, nil); err != nil {
						b.Fatal(err)
					}
					used += threadCPU(b) - before
				}
			})
			reportCalls(b, used, calls, c.bytes)
		})
	}
}

// anyHost has every function, and none of them may be called.
type anyHost struct{}

func (anyHost) Function(string, string, *types.Func) (canon.Stub, error) {
	return func(*canon.Call) { panic("called") }, nil
}

// benchComponents are the components of the benchmarks. The variable COMPONENTS adds others to
// them, a list of files like PATH: hack/guests has some that need more than Go to be built.
func benchComponents(b *testing.B) (files map[string]string, names []string) {
	b.Helper()
	files = map[string]string{"hello-0.2": guests.Component(b, "hello-0.2"), "hello-0.3": guests.Component(b, "hello-0.3"), "go": guests.Wrapped(b, "hello")}
	names = []string{"hello-0.2", "hello-0.3", "go"}
	for _, file := range filepath.SplitList(os.Getenv("COMPONENTS")) {
		name := strings.TrimSuffix(filepath.Base(file), ".wasm")
		files[name] = file
		names = append(names, name)
	}
	return files, names
}

// BenchmarkComponentInstance is an instance of a component whose code is loaded: made, and closed
// again, by processor time.
func BenchmarkComponentInstance(b *testing.B) {
	files, names := benchComponents(b)
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			e := newEngine(b)
			m := newInMachine(b, e, linkFile(b, files[name]), anyHost{})
			goruntime.LockOSThread()
			var making, all time.Duration
			for b.Loop() {
				began := threadCPU(b)
				m.once(b, func(*instance.Instance) { making += threadCPU(b) - began })
				all += threadCPU(b) - began
			}
			b.ReportMetric(float64(making.Nanoseconds())/float64(b.N)/1000, "made-cpu-µs")
			b.ReportMetric(float64((all-making).Nanoseconds())/float64(b.N)/1000, "closed-cpu-µs")
		})
	}
}

// BenchmarkComponentStart is BenchmarkStart for components, with the same Go program as a module
// beside them. all-µs is until the guest has ended.
func BenchmarkComponentStart(b *testing.B) {
	files, names := benchComponents(b)
	files["go, module"] = guests.Build(b, "hello")
	for _, name := range append(names, "go, module") {
		b.Run(name, func(b *testing.B) {
			e := newEngine(b)
			out := firstByte{make(chan struct{}, 1)}
			e.openLog = func(string, logfile.Rotation) (containerLog, error) { return out, nil }
			spec := runtime.Spec{Module: files[name], Digest: guests.Digest(b, files[name]), Command: runtime.Command{Args: []string{"guest", "1"}}, Log: "x",
				Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
			var took, all latencies
			var used time.Duration
			once := func() {
				began := time.Now()
				p, err := e.Start(b.Context(), spec, runtime.Streams{})
				if err != nil {
					b.Fatal(err)
				}
				<-out.c
				took = append(took, time.Since(began))
				<-p.Done()
				all = append(all, time.Since(began))
				used += p.Stats().CPU
				select {
				case <-out.c: // more than one write
				default:
				}
			}
			once() // this compiles the module
			took, all, used = nil, nil, 0
			for b.Loop() {
				once()
			}
			b.ReportMetric(float64(took.percentile(50).Microseconds()), "p50-µs")
			b.ReportMetric(float64(took.percentile(99).Microseconds()), "p99-µs")
			b.ReportMetric(float64(all.percentile(50).Microseconds()), "all-µs")
			b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}
