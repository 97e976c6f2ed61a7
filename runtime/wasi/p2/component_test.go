package p2_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// version is one that tools make components for.
const version = "0.2.3"

// guest is a component that is ready to run.
type guest struct {
	program *instance.Program
	engine  *componentengine.Engine
}

func load(t testing.TB, text string) *guest {
	t.Helper()
	return loadWith(t, text, typed.Tables{&bindings.Table})
}

func loadWith(t testing.TB, text string, tables typed.Tables) *guest {
	t.Helper()
	c, err := componentengine.Assemble(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := validate.Validate(c); err != nil {
		t.Fatal(err)
	}
	linked, err := link.Link(c)
	if err != nil {
		t.Fatal(err)
	}
	program, err := instance.Bind(linked, tables)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := componentengine.New(linked.Plan)
	if err != nil {
		t.Fatal(err)
	}
	return &guest{program, engine}
}

// run calls wasi:cli/run. The error is that of the run, or what ended the guest.
func (g *guest) run(t testing.TB, ctx context.Context, cfg wasi.Config) error {
	t.Helper()
	if cfg.Mounts == nil {
		cfg.Mounts = []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}
	}
	cfg.Confined = true
	host, err := wasi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	two := p2.New(ctx, host)
	x, err := instance.New(g.program, g.engine, two)
	if err != nil {
		t.Fatal(err)
	}
	var result error
	run := x.Exports().Instance("wasi:cli/run@" + version).Func("run")
	err = x.Call(ctx, run, nil, func(v canon.Value) { result = bindings.LiftRunResult(v) })
	x.Close()
	if err := errors.Join(two.Close(), host.CloseInitial(), host.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	if err != nil {
		return err
	}
	return result
}

// Parts of programs. print writes n bytes at an address to standard output.
const (
	print = `(func $print (param i32 i32) (local $out i32)
		(local.set $out (call $"wasi:cli/stdout#get-stdout"))
		(call $"wasi:io/streams#[method]output-stream.blocking-write-and-flush" (local.get $out) (local.get 0) (local.get 1) (i32.const 1024))
		(if (i32.load8_u (i32.const 1024)) (then unreachable))
		(call $"drop wasi:io/streams#output-stream" (local.get $out)))`
	ok = `(i32.const 0)`
)

func body(code string) string { return `(func (export "run") (result i32) ` + code + `)` }

// TestHello runs a component that greets.
func TestHello(t *testing.T) {
	var out bytes.Buffer
	g := load(t, program(version, `hello`, print+body(`(call $print (i32.const 0) (i32.const 5))`+ok), nil))
	for range 3 {
		if err := g.run(t, t.Context(), wasi.Config{Stdout: &out}); err != nil {
			t.Error(err)
		}
	}
	if out.String() != "hellohellohello" {
		t.Errorf("the output is %q", out.String())
	}
}

// TestHowRunsEnd has runs fail, exit and trap.
func TestHowRunsEnd(t *testing.T) {
	const exit = `(call $"wasi:cli/exit#exit-with-code" (i32.const 7))`
	for _, test := range []struct {
		name, code string
		check      func(err error) bool
	}{
		{"fail", `(i32.const 1)`, func(err error) bool { return errors.Is(err, typed.ErrFailed) }},
		{"exit with code", exit + ok, func(err error) bool {
			var e *wasi.ExitError
			return errors.As(err, &e) && e.Code == 7
		}},
		{"exit with error", `(call $"wasi:cli/exit#exit" (i32.const 1))` + ok, func(err error) bool {
			var e *wasi.ExitError
			return errors.As(err, &e) && e.Code == 1
		}},
		{"poll of nothing", `(call $"wasi:io/poll#poll" (i32.const 0) (i32.const 0) (i32.const 512))` + ok, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "empty list")
		}},
		{"a handle that is none", `(call $"drop wasi:io/poll#pollable" (i32.const 5))` + ok, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "handle")
		}},
		{"too many random bytes", `(call $"wasi:random/random#get-random-bytes" (i64.const -1) (i32.const 512))` + ok, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "random bytes")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := load(t, program(version, "", body(test.code), nil)).run(t, t.Context(), wasi.Config{}); !test.check(err) {
				t.Errorf("the run ended with %v", err)
			}
		})
	}
}

// TestCopyOfAFile runs a component that opens a file, reads it, and writes what it read to another.
func TestCopyOfAFile(t *testing.T) {
	// 0: "from", 4: "to"; results are at 512, the list of directories at what that has at 0.
	code := body(`(local $dir i32) (local $file i32) (local $in i32) (local $out i32) (local $list i32)
		(call $"wasi:filesystem/preopens#get-directories" (i32.const 512))
		(local.set $dir (i32.load (i32.load (i32.const 512))))
		(call $"wasi:filesystem/types#[method]descriptor.open-at" (local.get $dir) (i32.const 0) (i32.const 0) (i32.const 4)
			(i32.const 0) (i32.const 1) (i32.const 512))
		(if (i32.load8_u (i32.const 512)) (then (return (i32.const 1))))
		(local.set $file (i32.load (i32.const 516)))
		(call $"wasi:filesystem/types#[method]descriptor.read-via-stream" (local.get $file) (i64.const 5) (i32.const 512))
		(if (i32.load8_u (i32.const 512)) (then (return (i32.const 1))))
		(local.set $in (i32.load (i32.const 516)))
		(call $"drop wasi:filesystem/types#descriptor" (local.get $file))
		(call $"wasi:filesystem/types#[method]descriptor.open-at" (local.get $dir) (i32.const 0) (i32.const 4) (i32.const 2)
			(i32.const 1) (i32.const 2) (i32.const 512))
		(if (i32.load8_u (i32.const 512)) (then (return (i32.const 1))))
		(local.set $file (i32.load (i32.const 516)))
		(call $"wasi:filesystem/types#[method]descriptor.write-via-stream" (local.get $file) (i64.const 0) (i32.const 512))
		(if (i32.load8_u (i32.const 512)) (then (return (i32.const 1))))
		(local.set $out (i32.load (i32.const 516)))
		(loop $more
			(call $"wasi:io/streams#[method]input-stream.blocking-read" (local.get $in) (i64.const 3) (i32.const 512))
			(if (i32.eqz (i32.load8_u (i32.const 512))) (then
				(call $"wasi:io/streams#[method]output-stream.check-write" (local.get $out) (i32.const 528))
				(if (i32.load8_u (i32.const 528)) (then unreachable))
				(call $"wasi:io/streams#[method]output-stream.write" (local.get $out)
					(i32.load (i32.const 516)) (i32.load (i32.const 520)) (i32.const 528))
				(if (i32.load8_u (i32.const 528)) (then unreachable))
				(br $more))))
		(i32.ne (i32.load8_u (i32.const 516)) (i32.const 1))`) // the error closed
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "from"), "skip copied text")
	err := load(t, program(version, "fromto", code, nil)).run(t, t.Context(), wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	if err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "to")); string(b) != "copied text" || err != nil {
		t.Errorf("the copy has %q, %v", b, err)
	}
}

// pollInput waits for input or for an hour, and prints the number of what was ready first, and then
// what the input has.
var pollInput = print + body(`(local $in i32)
	(local.set $in (call $"wasi:cli/stdin#get-stdin"))
	(i32.store (i32.const 256) (call $"wasi:clocks/monotonic-clock#subscribe-duration" (i64.const 3600000000000)))
	(i32.store (i32.const 260) (call $"wasi:io/streams#[method]input-stream.subscribe" (local.get $in)))
	(call $"wasi:io/poll#poll" (i32.const 256) (i32.const 2) (i32.const 512))
	(if (i32.ne (i32.load (i32.const 516)) (i32.const 1)) (then unreachable))
	(i32.store8 (i32.const 300) (i32.add (i32.const 48) (i32.load (i32.load (i32.const 512)))))
	(call $print (i32.const 300) (i32.const 1))
	(call $"wasi:io/streams#[method]input-stream.read" (local.get $in) (i64.const -1) (i32.const 512))
	(if (i32.load8_u (i32.const 512)) (then (return (i32.const 1))))
	(call $print (i32.load (i32.const 516)) (i32.load (i32.const 520)))
	(call $"drop wasi:io/streams#input-stream" (local.get $in))
	(call $"wasi:io/poll#[method]pollable.block" (i32.load (i32.const 260)))
	(call $"drop wasi:io/poll#pollable" (i32.load (i32.const 256)))
	(call $"drop wasi:io/poll#pollable" (i32.load (i32.const 260)))`+ok)

// TestPollOfInput runs a component that waits for input.
func TestPollOfInput(t *testing.T) {
	var out bytes.Buffer
	r, w := io.Pipe()
	defer w.Close()
	go func() { _, _ = w.Write([]byte("typed")); _ = w.Close() }()
	if err := load(t, program(version, "", pollInput, nil)).run(t, t.Context(), wasi.Config{Stdin: r, Stdout: &out}); err != nil {
		t.Error(err)
	}
	if out.String() != "1typed" {
		t.Errorf("the output is %q", out.String())
	}
}

// TestKillOfAComponent kills a component that waits.
func TestKillOfAComponent(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, kill := context.WithCancel(t.Context())
	timer := time.AfterFunc(20*time.Millisecond, kill)
	defer timer.Stop()
	err := load(t, program(version, "", pollInput, nil)).run(t, ctx, wasi.Config{Stdin: r})
	if !errors.Is(err, wasi.ErrKilled) && !errors.Is(err, context.Canceled) {
		t.Errorf("the run ended with %v, want the kill", err)
	}
}

// TestManyPollables runs a component that makes pollables until it ends.
func TestManyPollables(t *testing.T) {
	code := body(`(local $i i32)
		(loop $more
			(drop (call $"wasi:clocks/monotonic-clock#subscribe-duration" (i64.const 0)))
			(br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))` + ok)
	err := load(t, program(version, "", code, nil)).run(t, t.Context(), wasi.Config{})
	if err == nil || !strings.Contains(err.Error(), "more than 32768 pollables") {
		t.Errorf("the run ended with %v", err)
	}
}

// TestEverythingLinks runs components that import every function of every interface, of old and new
// versions.
func TestEverythingLinks(t *testing.T) {
	all := func(string) bool { return true }
	for _, v := range []string{version, "0.2.12", "0.2.99"} {
		g := load(t, program(v, "", body(ok), all))
		if v == version {
			if err := g.run(t, t.Context(), wasi.Config{}); err != nil {
				t.Error(err)
			}
		}
	}
}
