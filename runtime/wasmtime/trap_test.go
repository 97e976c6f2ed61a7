package wasmtime

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
)

func TestTraps(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct{ name, body, message string }{
		{"unreachable", `(unreachable)`, "trap: unreachable instruction executed"},
		{"out of bounds", `(drop (i32.load (i32.const 0x7fffffff)))`, "trap: memory access out of bounds"},
		{"division by zero", `(drop (i32.div_u (i32.const 1) (i32.const 0)))`, "trap: integer divide by zero"},
		{"overflow", `(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))`, "trap: integer overflow"},
		{"conversion", `(drop (i32.trunc_f32_s (f32.const nan)))`, "trap: invalid conversion to integer"},
		{"null in a table", `(call_indirect (type 0) (i32.const 0))`, "trap: call of an uninitialised table element"},
		{"outside the table", `(call_indirect (type 0) (i32.const 9))`, "trap: table access out of bounds"},
		{"stack overflow", `(call $culprit)`, "trap: stack overflow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := wat(t, fmt.Sprintf(`(module (type (func)) (table 1 funcref) (memory (export "memory") 1)
				(func $culprit %s) (func $main (call $culprit)) (export "_start" (func $main)))`, c.body))
			r := start(t, e, file, runtime.Spec{})
			exit := r.wait()
			if exit.Code != 134 || exit.Reason != runtime.Error {
				t.Errorf("exit %+v", exit)
			}
			if !strings.HasPrefix(exit.Message, c.message+"\nwasm backtrace:\n  0: culprit (function ") || len(exit.Message) > 4096 {
				t.Errorf("%d bytes of message: %s", len(exit.Message), exit.Message)
			}
			if _, errs := r.screen.text(); errs != exit.Message+"\n" {
				t.Errorf("stderr %q", errs)
			}
		})
	}
}

func TestMemoryLimit(t *testing.T) {
	e := newEngine(t)
	limited := runtime.Spec{MemoryLimit: 32 << 20}
	exit, out, errs := kitchen(t, e, limited, "alloc", "100")
	if exit.Code != 137 || exit.Reason != runtime.OOMKilled || !strings.HasPrefix(exit.Message, "out of memory: the limit is 33554432 bytes") {
		t.Errorf("over its limit: %+v, stdout %q, stderr %q", exit, out, errs)
	}
	if exit, out, _ := kitchen(t, e, limited, "alloc", "8"); exit.Code != 0 || out != "allocated 8\n" {
		t.Errorf("within its limit: %+v, stdout %q", exit, out)
	}
	if exit, _, _ := kitchen(t, e, limited, "exit", "2"); exit.Code != 2 || exit.Reason != runtime.Error {
		t.Errorf("an ordinary failure: %+v", exit)
	}
	_, err := tryStart(t, e, wat(t, `(module (memory (export "memory") 100) (func (export "_start")))`), runtime.Spec{MemoryLimit: 1 << 20})
	if err == nil || !strings.Contains(err.Error(), "has 6553600 bytes at the start, more than its limit of 1048576 bytes") {
		t.Errorf("a module larger than its limit: %v", err)
	}
}

// TestOutOfMemoryIsToldApart: a guest is OOMKilled if it ends because its limit refused memory. It
// does not matter how much memory it has.
func TestOutOfMemoryIsToldApart(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct {
		name, memory, body string
		oom                bool
	}{
		{"a large piece refused", `1`, `(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))`, true},
		{"one page refused at the limit", `16`, `(if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))`, true},
		{"exit code of an allocator", `16`, `(if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (call $exit (i32.const 1))))`, true},
		{"another failure at the limit", `16`, `unreachable`, false},
		{"failure after growth", `1`, `(drop (memory.grow (i32.const 15))) unreachable`, false},
		{"refused, then content with less", `1`, `(drop (memory.grow (i32.const 1000))) (drop (memory.grow (i32.const 1))) unreachable`, false},
		{"bound of the module's own", `1 2`, `(drop (memory.grow (i32.const 5))) unreachable`, false},
		{"refused, and lives on", `1`, `(drop (memory.grow (i32.const 1000)))`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := wat(t, fmt.Sprintf(`(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
				(memory (export "memory") %s) (func (export "_start") %s))`, c.memory, c.body))
			exit := start(t, e, file, runtime.Spec{MemoryLimit: 1 << 20}).wait()
			if got := exit.Reason == runtime.OOMKilled; got != c.oom || got != (exit.Code == 137) {
				t.Errorf("exit %+v", exit)
			}
		})
	}
}

func TestPanicOfTheHostIsATrap(t *testing.T) {
	e := newEngine(t)
	saved := hostCalls
	defer func() { hostCalls = saved }()
	hostCalls = append([]preview1.Function(nil), saved...)
	for i := range hostCalls {
		if hostCalls[i].Name == "sched_yield" {
			hostCalls[i].Call = func(context.Context, *preview1.Guest, []byte, []uint64) (preview1.Errno, error) { panic("a bug") }
		}
	}
	r := start(t, e, wat(t, `(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))
		(memory (export "memory") 1) (func (export "_start") (drop (call $y))))`), runtime.Spec{})
	if exit := r.wait(); exit.Code != 134 || exit.Message != "internal error in host call sched_yield: a bug" {
		t.Errorf("exit %+v", exit)
	}
	exit, _, _ := kitchen(t, e, runtime.Spec{}, "exit", "3")
	if exit.Code != 3 {
		t.Errorf("the next guest: %+v", exit)
	}
}

// trapsAtStart is what a component has that is a command and traps when it is instantiated.
const trapsAtStart = `
	(core module $first (func $f unreachable) (start $f) (func (export "run") (result i32) i32.const 0))
	(core instance $i (instantiate $first))
	(func $run (result (result)) (canon lift (core func $i "run")))
	(instance $cli (export "run" (func $run)))
	(export "wasi:cli/run@0.2.0" (instance $cli))`

// docs/security.md: "it reaches its own linear memory and the functions of WASI", and "A component
// is checked as a whole before any of it runs."
func TestModulesThatCannotRun(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct{ name, text, want string }{
		{"unknown import", `(module (import "env" "log" (func (param i32))) (memory (export "memory") 1) (func (export "_start")))`,
			`the module imports "log" from "env", which is no function of WASI preview 1`},
		{"unknown function", `(module (import "wasi_snapshot_preview1" "fd_fly" (func)) (memory (export "memory") 1) (func (export "_start")))`,
			`the module imports "fd_fly" from "wasi_snapshot_preview1"`},
		{"wrong type", `(module (import "wasi_snapshot_preview1" "fd_close" (func)) (memory (export "memory") 1) (func (export "_start")))`,
			`fd_close`},
		{"no start", `(module (memory (export "memory") 1) (func (export "run")))`, "no function _start"},
		{"start with parameters", `(module (memory (export "memory") 1) (func (export "_start") (param i32)))`, "no function _start"},
		{"component", `(component)`, "the component exports nothing and is neither a command"},
		{"component with an unknown import", `(component
			(import "example:log/log@1.0.0" (instance (export "log" (func))))` + trapsAtStart + `)`,
			"the component imports functions that the host does not give: example:log/log@1.0.0#log"},
		{"component that is invalid at its end", `(component` + trapsAtStart + `
			(core module $m) (core instance $e (instantiate $m)) (func (canon lift (core func $e "none"))))`, "validating the component"},
		{"trap in the start section", `(module (memory (export "memory") 1) (func $f unreachable) (start $f) (func (export "_start")))`, "unreachable instruction"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := tryStart(t, e, wat(t, c.text), runtime.Spec{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
	text := t.TempDir() + "/text.wasm"
	testfiles.Write(t, text, "#!/bin/sh\n")
	if _, err := tryStart(t, e, text, runtime.Spec{}); err == nil || !strings.Contains(err.Error(), "no WebAssembly module") {
		t.Errorf("a text file: %v", err)
	}
	testfiles.Write(t, text, "\x00asm\x01\x00\x00\x00junk")
	if _, err := tryStart(t, e, text, runtime.Spec{}); err == nil || !strings.Contains(err.Error(), "compiling") {
		t.Errorf("a damaged module: %v", err)
	}
	tiny := filepathTiny(t)
	if _, err := tryStart(t, e, tiny, runtime.Spec{Mounts: []runtime.Mount{{Host: "/nonexistent", Guest: "/"}}}); err == nil || !strings.Contains(err.Error(), "mounting at /: ") {
		t.Errorf("a mount of nothing: %v", err)
	}
	spec := runtime.Spec{Module: tiny, Digest: "sha256:" + strings.Repeat("0", 64), Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}
	if _, err := e.Start(t.Context(), spec, runtime.Streams{}); err == nil || !strings.Contains(err.Error(), "its digest is "+guests.Digest(t, tiny)) {
		t.Errorf("a file with another digest: %v", err)
	}
	spec.Digest = "md5:1"
	if _, err := e.Start(t.Context(), spec, runtime.Streams{}); err == nil || !strings.Contains(err.Error(), "sha256:") {
		t.Errorf("a bad digest: %v", err)
	}
}

// TestEveryFunctionCanBeImported: a program never fails to start because a function is missing. Two
// programs have the two meanings of a name.
func TestEveryFunctionCanBeImported(t *testing.T) {
	e := newEngine(t)
	for _, others := range []bool{false, true} {
		var text strings.Builder
		text.WriteString("(module ")
		other := map[string]bool{}
		for _, f := range preview1.Functions() {
			other[f.Import] = other[f.Import] || f.Name != f.Import
		}
		for i, f := range preview1.Functions() {
			if other[f.Import] && others != (f.Name != f.Import) {
				continue
			}
			fmt.Fprintf(&text, `(import %q %q (func $f%d (param`, f.Module, f.Import, i)
			for _, kind := range f.Params {
				text.WriteString(map[preview1.Kind]string{preview1.I32: " i32", preview1.I64: " i64"}[kind])
			}
			text.WriteString(")")
			if !f.NoResult {
				text.WriteString(" (result i32)")
			}
			text.WriteString("))\n")
		}
		text.WriteString(`(memory (export "memory") 1) (func (export "_start")))`)
		r := start(t, e, wat(t, text.String()), runtime.Spec{})
		if exit := r.wait(); exit.Code != 0 {
			t.Errorf("with other meanings %v: exit %+v", others, exit)
		}
	}
}

// TestEndsInDeepRecursion: a trap costs little time and memory, with any number and kind of frames.
// Its message is short and printable.
func TestEndsInDeepRecursion(t *testing.T) {
	e := newEngine(t)
	down := func(bottom string) string {
		return `(func $f (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else ` + bottom + `))) (func (export "_start") (call $f (i32.const 8000)))`
	}
	sets, uses := "", ""
	for i := range 60 {
		sets += fmt.Sprintf(" (local.set %d (i64.load (i32.const %d)))", i, i*8)
		uses += fmt.Sprintf(" (i64.store (i32.const %d) (local.get %d))", i*8, i)
	}
	arguments := strings.Repeat(" (i64.const 1)", 500)
	ends := map[string]string{
		"small frames":        `(func $f (call $f)) (func (export "_start") (call $f))`,
		"large frames":        `(func $f (local` + strings.Repeat(" i64", 60) + `)` + sets + ` (call $f)` + uses + `) (func (export "_start") (call $f))`,
		"many parameters":     `(func $f (param` + strings.Repeat(" i64", 500) + `) (call $f` + arguments + `)) (func (export "_start") (call $f` + arguments + `))`,
		"indirect calls":      `(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f (call_indirect (type $t) (i32.const 0))) (func (export "_start") (call $f))`,
		"tail calls":          `(func $g (call $f)) (func $f (return_call $g)) (func (export "_start") (call $f))`,
		"the host":            down(`(call $exit (i32.const 300))`),
		"a trap":              down(`(unreachable)`),
		"a name that is none": `(func $"\00\1b[31m\0a\u{202e}` + strings.Repeat("x", 9_000) + `" (call 1)) (func (export "_start") (call 1))`,
	}
	if supported() {
		ends["an exception"] = `(tag $t) ` + down(`(throw $t)`)
		ends["an exception that others catch"] = `(tag $t) (tag $u) (func $f (param i32) (block $h (try_table (catch $u $h)
			(if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (throw $t)))))) (func (export "_start") (call $f (i32.const 5000)))`
		ends["an exception that all throw again"] = `(tag $t) (func $f (param i32) (block $h (result exnref) (try_table (catch_all_ref $h)
			(if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (throw $t)))) (return)) (throw_ref)) (func (export "_start") (call $f (i32.const 5000)))`
		ends["calls by reference"] = `(type $t (func)) (elem declare func $f) (func $f (type $t) (call_ref $t (ref.func $f))) (func (export "_start") (call $f))`
		ends["an object that is too large"] = `(type $a (array (mut i64))) ` + down(`(drop (array.new_default $a (i32.const -1)))`)
		ends["no memory for an object"] = `(type $a (array (mut i64))) ` + down(`(drop (array.new_default $a (i32.const 100000000)))`)
	}
	for name, text := range ends {
		t.Run(name, func(t *testing.T) {
			file := wat(t, `(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1) `+text+`)`)
			start(t, e, file, runtime.Spec{MemoryLimit: 32 << 20}).wait() // this loads the module
			var r *guestRun
			grown := growth(t, func() {
				r = start(t, e, file, runtime.Spec{MemoryLimit: 32 << 20})
				r.wait()
			})
			exit, used := r.process.Exit(), r.process.Stats().CPU
			if exit.Code == 0 || used > 100*time.Millisecond || grown > 5<<20 {
				t.Errorf("%v of the processor, %d KiB: %+v", used, grown>>10, exit)
			}
			if len(exit.Message) > 4096 || strings.Contains(exit.Message, "0xffff") || strings.ContainsFunc(exit.Message, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Errorf("%d bytes: %q", len(exit.Message), exit.Message)
			}
		})
	}
}
