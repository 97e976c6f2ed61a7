package wasmtime

import (
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// hello is a command of WASI 0.2 that writes a line to standard output, and fails if it has an
// argument.
const hello = `(component
	(import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
	(alias export $error "error" (type $error-type))
	(import "wasi:io/streams@0.2.0" (instance $streams
		(alias outer 1 $error-type (type $e0)) (export "error" (type $e (eq $e0)))
		(export "output-stream" (type $out (sub resource)))
		(type $stream-error (variant (case "last-operation-failed" (own $e)) (case "closed")))
		(export "stream-error" (type $se (eq $stream-error)))
		(export "[method]output-stream.blocking-write-and-flush"
			(func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))))
	(alias export $streams "output-stream" (type $out))
	(import "wasi:cli/stdout@0.2.0" (instance $stdout
		(alias outer 1 $out (type $o0)) (export "output-stream" (type $o (eq $o0)))
		(export "get-stdout" (func (result (own $o))))))
	(import "wasi:cli/environment@0.2.0" (instance $environment
		(export "get-arguments" (func (result (list string))))))
	(core module $memory
		(memory (export "memory") 1)
		(global $at (mut i32) (i32.const 1024))
		(func (export "realloc") (param i32 i32 i32 i32) (result i32)
			(global.set $at (i32.and (i32.add (global.get $at) (i32.const 7)) (i32.const -8)))
			(global.get $at)
			(global.set $at (i32.add (global.get $at) (local.get 3)))))
	(core instance $m (instantiate $memory))
	(alias core export $m "memory" (core memory $mem))
	(alias core export $m "realloc" (core func $realloc))
	(core func $get-stdout (canon lower (func $stdout "get-stdout")))
	(core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
	(core func $arguments (canon lower (func $environment "get-arguments") (memory $mem) (realloc $realloc)))
	(core func $drop (canon resource.drop $out))
	(core module $main
		(import "host" "get-stdout" (func $get-stdout (result i32)))
		(import "host" "write" (func $write (param i32 i32 i32 i32)))
		(import "host" "drop" (func $drop (param i32)))
		(import "host" "arguments" (func $arguments (param i32)))
		(import "memory" "memory" (memory 1))
		(data (i32.const 16) "hello from a component\n")
		(func $spin (export "spin") (loop (br 0)))
		(func $crash (export "crash") unreachable)
		(func (export "run") (result i32) (local $stdout i32)
			(local.set $stdout (call $get-stdout))
			(call $write (local.get $stdout) (i32.const 16) (i32.const 23) (i32.const 64))
			(call $drop (local.get $stdout))
			(call $arguments (i32.const 80))
			(if (i32.eq (i32.load (i32.const 84)) (i32.const 3)) (then (call $spin)))
			(if (i32.eq (i32.load (i32.const 84)) (i32.const 4)) (then (call $crash)))
			(i32.gt_u (i32.load (i32.const 84)) (i32.const 1))))
	(core instance $i (instantiate $main
		(with "memory" (instance $m))
		(with "host" (instance (export "get-stdout" (func $get-stdout)) (export "write" (func $write))
			(export "drop" (func $drop)) (export "arguments" (func $arguments))))))
	(func $run (result (result)) (canon lift (core func $i "run")))
	(instance $cli (export "run" (func $run)))
	(export "wasi:cli/run@0.2.0" (instance $cli)))`

func TestComponentCommand(t *testing.T) {
	e := newEngine(t)
	file := wat(t, hello)
	for _, c := range []struct {
		name   string
		args   []string
		code   int32
		reason runtime.Reason
		logs   string
	}{
		{"it ends well", []string{"hello"}, 0, runtime.Completed, "hello from a component"},
		{"it fails", []string{"hello", "now"}, 1, runtime.Error, "hello from a component"},
		{"it traps", []string{"hello", "a", "b", "c"}, 134, runtime.Error, "unreachable instruction executed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, e, file, runtime.Spec{Command: runtime.Command{Args: c.args}})
			exit := g.wait()
			if exit.Code != c.code || exit.Reason != c.reason {
				t.Errorf("exit %+v, want the code %d and the reason %s", exit, c.code, c.reason)
			}
			if out, errs := g.screen.text(); !strings.Contains(out+errs, c.logs) {
				t.Errorf("the output is %q and %q, want %q in it", out, errs, c.logs)
			}
		})
	}
}
