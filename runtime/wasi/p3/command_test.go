package p3_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// command is a command as toolchains make one: run waits in a callback, without a stack. It says
// hello, waits for the end of that and a millisecond, and ends as the test says.
func command(end string) string {
	return `(component ` + imports + `
		(core module $Memory (memory (export "mem") 1) (data (i32.const 16) "hello\n"))
		(core instance $memory (instantiate $Memory))
		(core func $new (canon stream.new $bytes))
		(core func $write (canon stream.write $bytes async (memory $memory "mem")))
		(core func $drop (canon stream.drop-writable $bytes))
		(core func $read (canon future.read $cli-future async (memory $memory "mem")))
		(core func $stdout (canon lower (func $stdout "write-via-stream")))
		(core func $wait-for (canon lower (func $monotonic "wait-for") async))
		(core func $exit (canon lower (func $exit "exit-with-code")))
		(core func $return (canon task.return (result (result))))
		(core func $set (canon waitable-set.new))
		(core func $join (canon waitable.join))
		(core module $M (import "" "mem" (memory 1))
			(import "" "new" (func $new (result i64)))
			(import "" "write" (func $write (param i32 i32 i32) (result i32)))
			(import "" "drop" (func $drop (param i32)))
			(import "" "read" (func $read (param i32 i32) (result i32)))
			(import "" "stdout" (func $stdout (param i32) (result i32)))
			(import "" "wait-for" (func $wait-for (param i64) (result i32)))
			(import "" "exit" (func $exit (param i32)))
			(import "" "return" (func $return (param i32)))
			(import "" "set" (func $set (result i32)))
			(import "" "join" (func $join (param i32 i32)))
			(global $waits (mut i32) (i32.const 0)) (global $future (mut i32) (i32.const 0))
			(func (export "run") (result i32) (local $both i64) (local $w i32)
				(local.set $both (call $new))
				(local.set $w (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))))
				(global.set $future (call $stdout (i32.wrap_i64 (local.get $both))))
				(global.set $waits (call $set))
				(if (i32.ne (call $write (local.get $w) (i32.const 16) (i32.const 6)) (i32.const -1))
					(then (return (call $written (local.get $w)))))
				(call $join (local.get $w) (global.get $waits))
				(call $wait))
			(func $written (param $w i32) (result i32)
				(call $drop (local.get $w))
				(if (i32.ne (call $read (global.get $future) (i32.const 64)) (i32.const -1)) (then (return (call $pause))))
				(call $join (global.get $future) (global.get $waits))
				(call $wait))
			(func $wait (result i32) (i32.or (i32.const 2) (i32.shl (global.get $waits) (i32.const 4))))
			(func $pause (result i32)
				(call $join (i32.shr_u (call $wait-for (i64.const 1000000)) (i32.const 4)) (global.get $waits))
				(call $wait))
			(func (export "cb") (param $event i32) (param $of i32) (param $payload i32) (result i32)
				(if (i32.eq (local.get $event) (i32.const 3)) (then
					(call $join (local.get $of) (i32.const 0))
					(return (call $written (local.get $of)))))
				(if (i32.eq (local.get $event) (i32.const 4)) (then (return (call $pause))))
				(if (i32.load8_u (i32.const 64)) (then unreachable))
				` + end + `
				(i32.const 0)))
		(core instance $m (instantiate $M (with "" (instance (export "mem" (memory $memory "mem"))
			(export "new" (func $new)) (export "write" (func $write)) (export "drop" (func $drop)) (export "read" (func $read))
			(export "stdout" (func $stdout)) (export "wait-for" (func $wait-for)) (export "exit" (func $exit))
			(export "return" (func $return)) (export "set" (func $set)) (export "join" (func $join))))))
		(func $run async (result (result)) (canon lift (core func $m "run") async (memory $memory "mem") (callback (func $m "cb"))))
		(instance $command (export "run" (func $run)))
		(export "wasi:cli/run@0.3.0" (instance $command)))`
}

func TestCommand(t *testing.T) {
	failed := typed.ErrFailed
	for _, test := range []struct {
		name, end string
		result    error
		code      int // of exit, or -1
	}{
		{"ok", `(call $return (i32.const 0))`, nil, -1},
		{"error", `(call $return (i32.const 1))`, failed, -1},
		{"exit", `(call $exit (i32.const 7))`, nil, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			cfg := wasi.Config{Stdout: &out}
			if test.name == "error" {
				cfg.OutputRate = 1000 // so that the write ends later
			}
			result, err := runCommand(t, command(test.end), cfg)
			exit := (*wasi.ExitError)(nil)
			switch {
			case test.code >= 0:
				if !errors.As(err, &exit) || int(exit.Code) != test.code {
					t.Errorf("run ended with %v, want exit code %d", err, test.code)
				}
			case err != nil || !errors.Is(result, test.result):
				t.Errorf("run returned %v, %v, want %v", result, err, test.result)
			}
			if out.String() != "hello\n" {
				t.Errorf("it wrote %q", out.String())
			}
		})
	}
}

// runCommand runs a command to its end.
func runCommand(t *testing.T, text string, cfg wasi.Config) (result, err error) {
	t.Helper()
	c, err := componentengine.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Validate(c); err != nil {
		t.Fatal(err)
	}
	linked, err := link.Link(c)
	if err != nil {
		t.Fatal(err)
	}
	program, err := instance.Bind(linked, typed.Tables{&bindings.Table})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := componentengine.New(linked.Plan)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Mounts, cfg.Confined = []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}, true
	of, err := wasi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), callTime)
	defer stop()
	host := p3.New(ctx, of)
	x, err := instance.New(program, engine, host)
	if err != nil {
		t.Fatal(err)
	}
	run := x.Exports().Instance("wasi:cli/run@0.3.0").Func("run")
	err = x.Call(ctx, run, nil, func(v canon.Value) { result = bindings.LiftRunResult(v) })
	x.Close()
	if problem := errors.Join(host.Close(), of.CloseInitial(), of.Close()); problem != nil {
		t.Errorf("closing: %v", problem)
	}
	return result, err
}
