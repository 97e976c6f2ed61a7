package run

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

// components are a component for each way in which they come: see package guests.
func components(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"0.2": guests.Component(t, "kitchen-0.2"), "0.3": guests.Component(t, "kitchen-0.3"), "wrapped": guests.Wrapped(t, "kitchen"),
	}
}

func assembled(t *testing.T, text string) []byte {
	t.Helper()
	wasm, err := wasmtimego.Wat2Wasm(text)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// TestRunComponents: a component runs as a module does, with its files, its input and its code.
func TestRunComponents(t *testing.T) {
	r := newRunner(t)
	r.file("data/in.txt", []byte("content"))
	for version, file := range components(t) {
		read := "read"
		if version == "wrapped" {
			read = "cat"
		}
		t.Run(version, func(t *testing.T) {
			r := *r
			r.t = t
			if got, want := r.ok(file, "args", "--env=X=y", "a b"), lines(filepath.Base(file), "args", "--env=X=y", "a b"); got != want {
				t.Errorf("the guest has the arguments\n%swant\n%s", got, want)
			}
			if got := r.ok("--env=A=1", "-eB=x=y", file, "env"); got != lines("A=1", "B=x=y") {
				t.Errorf("the guest sees\n%s", got)
			}
			if got := r.run(file, "exit", "7"); got != (result{code: 7}) {
				t.Errorf("exit 7: %+v", got)
			}
			for flag, path := range map[string]string{"--dir=data": "data/in.txt", "--dir=data::/mnt:ro": "mnt/in.txt", "--dir=data/in.txt::/etc/conf": "etc/conf"} {
				if got := r.ok(flag, file, read, path); got != "content" {
					t.Errorf("%s: %s holds %q", flag, path, got)
				}
			}
			r.ok("--dir=data::/mnt", file, "write", "mnt/"+version, "written")
			if got, err := os.ReadFile(filepath.Join(r.dir, "data", version)); err != nil || string(got) != "written" {
				t.Errorf("on the host: %q, %v", got, err)
			}
			if got := r.run("--dir=data::/mnt:ro", file, "write", "mnt/no.txt", "x"); got.code != 1 {
				t.Errorf("writing to a read-only mount: %+v", got)
			}
			r.stdin = strings.NewReader(strings.Repeat("fed\n", 100_000))
			if got := r.ok(file, "cat"); got != strings.Repeat("fed\n", 100_000) {
				t.Errorf("of the input came %d bytes", len(got))
			}
			r.stdin = nil
			if got := r.run("--timeout=200ms", file, "sleep"); got.code != 124 || got.stdout != "sleeping\n" || got.stderr != "krustlet-wasi: the guest is stopped after --timeout=200ms\n" {
				t.Errorf("a time-out: %+v", got)
			}
			p := r.start(file, "sleep")
			p.await("sleeping")
			p.signal(syscall.SIGTERM)
			p.ended(143)
			p = r.start("--grace=1h", file, "cat")
			if _, err := p.stdin.WriteString("fed\n"); err != nil {
				t.Fatal(err)
			}
			p.await("fed")
			p.signal(syscall.SIGINT)
			p.ended(0)
		})
	}
	if got := r.run(guests.Component(t, "hello-0.2")); got.code != 0 || got.stdout != "hello from a component\n" || got.stderr != "and goodbye\n" {
		t.Errorf("hello of WASI 0.2: %+v", got)
	}
	if got := r.ok(guests.Component(t, "hello-0.3")); got != "hello from a component of WASI 0.3\n" {
		t.Errorf("hello of WASI 0.3: %q", got)
	}
}

// TestRunComponentErrors: components that end badly, and those that cannot run.
func TestRunComponentErrors(t *testing.T) {
	r := newRunner(t)
	whole, err := os.ReadFile(guests.Component(t, "kitchen-0.2"))
	if err != nil {
		t.Fatal(err)
	}
	r.file("cut.wasm", whole[:len(whole)/2])
	invalid := append([]byte(nil), whole...)
	copy(invalid[len(invalid)/2:], make([]byte, 64))
	r.file("invalid.wasm", invalid)
	r.file("empty.wasm", component)
	r.file("library.wasm", assembled(t, `(component (instance $i) (export "my:math/add@1.0.0" (instance $i)))`))
	r.file("handler.wasm", assembled(t, `(component (instance $i) (export "wasi:http/handler@0.3.0" (instance $i)))`))
	const main = `(core module $m (memory 1) (func (export "run") (result i32)
			(loop $l (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) (br $l)) (i32.const 0)))
		(core instance $i (instantiate $m)) (func $run (result (result)) (canon lift (core func $i "run")))
		(instance $cli (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $cli)))`
	r.file("grows.wasm", assembled(t, `(component `+main))
	r.file("needs.wasm", assembled(t, `(component (import "my:own/thing@1.0.0" (instance (export "f" (func)))) `+main))
	for _, tt := range []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"err of 0.2", []string{guests.Component(t, "kitchen-0.2"), "fail"}, 1, ""},
		{"err of 0.3", []string{guests.Component(t, "kitchen-0.3"), "fail"}, 1, ""},
		{"trap", []string{guests.Component(t, "kitchen-0.3"), "trap"}, 134, "command (component kitchen, module main, function "},
		{"out of memory", []string{"--memory=1Mi", "grows.wasm"}, 137, "out of memory: the limit is 1048576 bytes"},
		{"a library", []string{"library.wasm"}, 126, "the component exports my:math/add@1.0.0 and is neither a command "},
		{"nothing in it", []string{"empty.wasm"}, 126, "the component exports nothing"},
		{"a handler without its function", []string{"handler.wasm"}, 126, "there is no function handle in it"},
		{"a handler without an address", []string{guests.Component(t, "http-hello-0.2")}, 126, "name an address to serve at with --listen"},
		{"an import that does not exist", []string{"needs.wasm"}, 126, "my:own/thing@1.0.0"},
		{"the first half", []string{"cut.wasm"}, 126, "component"},
		{"damaged", []string{"invalid.wasm"}, 126, "at 0x"},
		{"more memory than its limit", []string{"--memory=32Ki", "grows.wasm"}, 126, "limit of 32768 bytes"},
		{"listening sockets", []string{"--listen=127.0.0.1:0", guests.Component(t, "hello-0.2")}, 126, "a component cannot be given listening sockets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := *r
			r.t = t
			got := r.run(tt.args...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.stderr) || tt.stderr == "" && got.stderr != "" {
				t.Errorf("exit code %d, want %d; standard error, which should contain %q:\n%s", got.code, tt.code, tt.stderr, got.stderr)
			}
			if tt.code == 126 && (!strings.HasPrefix(got.stderr, "krustlet-wasi: ") || strings.Count(got.stderr, "\n") != 1) {
				t.Errorf("the message is not one line of the program's:\n%s", got.stderr)
			}
		})
	}
}
