package run

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

func TestRunExitCodes(t *testing.T) {
	r := newRunner(t)
	guest := kitchen(t)
	r.file("trap.wasm", trapModule)
	r.file("empty.wasm", emptyModule)
	r.file("component.wasm", component)
	r.file("text.wasm", []byte("(module)"))
	r.file("large.wasm", append([]byte("\x00asm\x01\x00\x00\x00"), make([]byte, 1992)...))
	r.file("sub.wasm/x", nil)
	for _, tt := range []struct {
		name   string
		args   []string
		code   int
		stderr string // a part of standard error; empty: there must be none
	}{
		{"success", []string{guest, "exit", "0"}, 0, ""},
		{"start returns", []string{guest, "echo"}, 0, ""},
		{"failure", []string{guest, "exit", "1"}, 1, ""},
		{"the guest's own 125", []string{guest, "exit", "125"}, 125, ""},
		{"the largest", []string{guest, "exit", "255"}, 255, ""},
		{"no room in a byte", []string{guest, "exit", "512"}, 255, ""},
		{"the low byte", []string{guest, "exit", "259"}, 3, ""},
		{"trap", []string{"trap.wasm"}, 134, "unreachable"},
		{"out of memory", []string{"--memory=32Mi", guest, "alloc", "64"}, 137, "out of memory: the limit is 33554432 bytes"},
		{"within the limit", []string{"--memory=64Mi", guest, "alloc", "8"}, 0, ""},
		{"time-out of one that spins", []string{"--timeout=200ms", guest, "spin"}, 124, "krustlet-wasi: the guest is stopped after --timeout=200ms\n"},
		{"time-out of one that sleeps", []string{"--timeout=200ms", guest, "sleep"}, 124, "--timeout=200ms"},
		{"before its time-out", []string{"--timeout=1h", guest, "exit", "3"}, 3, ""},

		{"no such file", []string{"nothing.wasm"}, 127, "there is no file " + r.dir + "/nothing.wasm\n"},
		{"no such file, by path", []string{"./nothing"}, 127, "there is no file"},
		{"an image that looks like a file", []string{"registry.example/app.wasm"}, 127, "for an image, write the tag too: registry.example/app.wasm:latest"},
		{"a directory", []string{"sub.wasm"}, 126, "is a directory: name the module in it"},
		{"no module", []string{"text.wasm"}, 126, "no WebAssembly module"},
		{"a module without _start", []string{"empty.wasm"}, 126, "_start"},
		{"a component", []string{"component.wasm"}, 126, "component"},
		{"a device", []string{"/dev/null"}, 126, "no regular file"},
		{"more memory than its limit", []string{"--memory=64Ki", guest, "echo"}, 126, "limit of 65536 bytes"},
		{"a large module", []string{"--max-module-size=1Ki", "large.wasm"}, 126, "the module is too large: it has 2000 bytes, and may have 1024 (--max-module-size)"},
		{"no size of a module", []string{"--max-module-size=2Gi", guest}, 125, "flag --max-module-size: \"2Gi\" is more than the engine can take"},
		{"nothing", nil, 125, "nothing to run: name a FILE.wasm or an IMAGE"},
		{"nothing but flags", []string{"--quiet"}, 125, "nothing to run"},
		{"neither file nor image", []string{"No Such Thing"}, 125, `"No Such Thing" is neither a file here nor the name of an image`},
		{"unknown flag", []string{"--evn=A=b", guest}, 125, "unknown flag --evn; did you mean \"--env\"?\nRun 'krustlet-wasi run --help' to see what can be set.\n"},
		{"bad flags", []string{"--memory=much", "--cpu=0", guest}, 125, "krustlet-wasi: flag --memory: \"much\" is no amount of memory"},
		{"an agent's flag", []string{"--node-name=x", guest}, 125, "unknown flag --node-name"},
		{"not in the cache", []string{"--pull=never", "registry.example/never/pulled:v1"}, 127, "is not in the cache, and --pull=never"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := *r
			r.t = t
			got := r.run(tt.args...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.stderr) || tt.stderr == "" && got.stderr != "" {
				t.Errorf("exit code %d, want %d; standard error, which should contain %q:\n%s", got.code, tt.code, tt.stderr, got.stderr)
			}
			if strings.Contains(got.stderr, "\n") && !strings.HasPrefix(got.stderr, "krustlet-wasi: ") && tt.code >= 124 && tt.code <= 127 {
				t.Errorf("the message does not say whose it is:\n%s", got.stderr)
			}
		})
	}
}

// TestRunPassesArguments: everything after the module is an argument of the guest, even if it looks
// like a flag.
func TestRunPassesArguments(t *testing.T) {
	r, guest := newRunner(t), kitchen(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{guest, "args"}, lines("kitchen.wasm", "args")},
		{[]string{guest, "args", "--env=X=y", "-q", "--", "run", "--help", "", "a b", "ü"},
			lines("kitchen.wasm", "args", "--env=X=y", "-q", "--", "run", "--help", "", "a b", "ü")},
		{[]string{"--argv0", "busybox", guest, "args"}, lines("busybox", "args")},
		{[]string{"--", guest, "args", "--", "x"}, lines("kitchen.wasm", "args", "--", "x")},
	} {
		if got := r.ok(tt.args...); got != tt.want {
			t.Errorf("%q: the guest sees\n%swant\n%s", tt.args, got, tt.want)
		}
	}
}

func TestRunEnvironment(t *testing.T) {
	r, guest := newRunner(t), kitchen(t)
	r.env = []string{"OUTER=from outside"}
	if got := r.ok(guest, "env"); got != "" {
		t.Errorf("without --env the guest sees\n%s", got)
	}
	got := r.ok("--env=A=1", "-e", "B=x=y,z", "--env", "EMPTY=", "-eOUTER", "-eMISSING", "--env=A=2", guest, "env")
	if want := lines("A=2", "B=x=y,z", "EMPTY=", "OUTER=from outside"); got != want {
		t.Errorf("the guest sees\n%swant\n%s", got, want)
	}
	if got := r.ok("--workdir=/srv/app", guest, "cwd"); got != "/srv/app\n" {
		t.Errorf("the guest starts in %s", got)
	}
}

func TestRunDirectories(t *testing.T) {
	r, guest := newRunner(t), kitchen(t)
	r.file("data/in.txt", []byte("content"))
	outside := newRunner(t).file("outside.txt", []byte("outside"))
	r.file("data/sub/x", nil)
	// The guest has its own root with the /tmp of a container. The root is removed at the end.
	if got := r.ok(guest, "ls", "/"); got != "tmp/\n" {
		t.Errorf("a guest without --dir sees %q", got)
	}
	r.ok(guest, "write", "/tmp/x", "y")
	// HOST alone has the same path in the guest.
	for flag, path := range map[string]string{
		"--dir=.":                      "/data/in.txt",
		"--dir=./":                     "data/in.txt", // relative to /, where the guest starts
		"--dir=data":                   "data/in.txt",
		"--dir=" + r.dir:               r.dir + "/data/in.txt",
		"--dir=data::/mnt":             "/mnt/in.txt",
		"--dir=data::mnt":              "/mnt/in.txt",
		"--dir=data::/":                "/in.txt",
		"--dir=data/in.txt::/etc/conf": "/etc/conf", // a file
	} {
		if got := r.ok(flag, guest, "cat", path); got != "content" {
			t.Errorf("%s: %s holds %q", flag, path, got)
		}
	}
	// What a guest writes is on the host.
	r.ok("--dir=data::/mnt", guest, "write", "/mnt/out.txt", "written")
	if got, err := os.ReadFile(filepath.Join(r.dir, "data/out.txt")); err != nil || string(got) != "written" {
		t.Errorf("on the host: %q, %v", got, err)
	}
	// A read-only mount refuses every change.
	for _, command := range [][]string{{"write", "/mnt/no.txt", "x"}, {"rm", "/mnt/in.txt"}, {"mkdir", "/mnt/no"}, {"truncate", "/mnt/in.txt", "0"}} {
		got := r.run(append([]string{"--dir=data::/mnt:ro", guest}, command...)...)
		if got.code != 1 || got.stderr == "" {
			t.Errorf("%v on a read-only mount: %+v", command, got)
		}
	}
	// A read-only mount inside a writable one.
	got := r.ok("--dir=data::/mnt", "--dir", filepath.Dir(outside)+"::/mnt/sub:ro", guest, "ls", "/mnt/sub")
	if got != "outside.txt\n" {
		t.Errorf("the nested mount shows %q", got)
	}
	// No other file of the host is visible.
	if got := r.run("--dir=data::/", guest, "cat", "/../../"+outside); got.code != 1 {
		t.Errorf("the guest read a file of the host: %+v", got)
	}
}

func TestRunStandardInput(t *testing.T) {
	r, guest := newRunner(t), kitchen(t)
	var random [32]byte
	content := make([]byte, 10<<20+1)
	if _, err := io.ReadFull(rand.NewChaCha8(random), content); err != nil {
		t.Fatal(err)
	}
	r.stdin = struct{ io.Reader }{bytes.NewReader(content)} // through a pipe
	if got := r.ok(guest, "cat"); sha256.Sum256([]byte(got)) != sha256.Sum256(content) {
		t.Errorf("of %d bytes through a pipe, %d came, or others", len(content), len(got))
	}
	file, err := os.Open(r.file("in", content))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	r.stdin = file
	if got := r.ok(guest, "cat"); sha256.Sum256([]byte(got)) != sha256.Sum256(content) {
		t.Errorf("of a file's %d bytes, %d came, or others", len(content), len(got))
	}
	r.stdin = nil // /dev/null
	if got := r.ok(guest, "stdin"); got != "0 bytes\n" {
		t.Errorf("without input: %q", got)
	}
}

// TestRunLeavesInputAlone: a guest that reads nothing leaves the input to the next reader, as in a
// shell's loop.
func TestRunLeavesInputAlone(t *testing.T) {
	r := newRunner(t)
	r.shell = `"$@"; cat`
	r.stdin = strings.NewReader("for the next\n")
	if got := r.run(kitchen(t), "echo", "first"); got.stdout != "first\nfor the next\n" {
		t.Errorf("%+v", got)
	}
}

// TestRunIsInteractive: each line arrives as soon as it is written, in both directions.
func TestRunIsInteractive(t *testing.T) {
	p := newRunner(t).start(kitchen(t), "cat")
	for i := range 100 {
		if _, err := fmt.Fprintf(p.stdin, "line %d\n", i); err != nil {
			t.Fatal(err)
		}
		p.await(fmt.Sprintf("line %d", i))
	}
	_ = p.stdin.Close()
	p.ended(0)
}

// TestRunBrokenPipe: if the guest's output has no reader, its write returns an error.
func TestRunBrokenPipe(t *testing.T) {
	p := newRunner(t).start(kitchen(t), "yes")
	p.await("yes")
	_ = p.pipe.Close()
	p.ended(1)
	if !strings.Contains(strings.ToLower(p.stderr.String()), "broken pipe") {
		t.Errorf("standard error: %s", p.stderr)
	}
}

func TestRunSignals(t *testing.T) {
	guest := kitchen(t)
	for name, command := range map[string][]string{
		"spins":           {"spin"},
		"sleeps":          {"sleep"},
		"writes":          {"yes"}, // until the pipe is full
		"waits for input": {"cat"},
	} {
		for s, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
			t.Run(fmt.Sprintf("%s, %v", name, s), func(t *testing.T) {
				p := newRunner(t).start(append([]string{guest}, command...)...)
				if name == "waits for input" {
					if _, err := p.stdin.WriteString("go on\n"); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := p.stdout.ReadString('\n'); err != nil {
					t.Fatalf("%v\n%s", err, p.stderr)
				}
				p.signal(s)
				p.ended(code)
			})
		}
	}
}

// TestRunGrace: a guest that must stop may end by itself. Then the exit code is its own.
func TestRunGrace(t *testing.T) {
	guest := kitchen(t)
	t.Run("input ends", func(t *testing.T) {
		p := newRunner(t).start("--grace=1m", guest, "cat")
		if _, err := p.stdin.WriteString("go on\n"); err != nil {
			t.Fatal(err)
		}
		p.await("go on")
		p.signal(syscall.SIGTERM)
		p.ended(0)
	})
	t.Run("killed", func(t *testing.T) {
		p := newRunner(t).start("--grace=100ms", guest, "sleep")
		p.await("sleeping")
		begin := time.Now()
		p.signal(syscall.SIGTERM)
		p.ended(143)
		if took := time.Since(begin); took < 100*time.Millisecond {
			t.Errorf("it was killed after %v", took)
		}
	})
	t.Run("second signal", func(t *testing.T) {
		p := newRunner(t).start("--grace=1h", guest, "spin")
		p.await("spinning")
		done := make(chan struct{})
		go func() {
			defer close(done)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range 100 { // a signal is lost if the same one is still waiting
				if p.cmd.Process.Signal(syscall.SIGINT) != nil {
					return
				}
				<-tick.C
			}
		}()
		err := p.cmd.Wait()
		<-done
		if code := p.cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code %d, %v", code, err)
		}
	})
	t.Run("time-out", func(t *testing.T) {
		// At the time-out, cat ends by itself with code 0. The exit code is that of the time-out.
		p := newRunner(t).start("--timeout=300ms", "--grace=1m", guest, "cat")
		p.ended(124)
	})
}

// TestRunIgnoredSignals: under nohup, a hang-up has no effect.
func TestRunIgnoredSignals(t *testing.T) {
	r := newRunner(t)
	r.shell = `trap '' HUP; exec "$@"`
	p := r.start(kitchen(t), "cat")
	for _, s := range []syscall.Signal{0, syscall.SIGHUP} {
		if s != 0 {
			p.signal(s)
		}
		if _, err := p.stdin.WriteString("on\n"); err != nil {
			t.Fatal(err)
		}
		p.await("on")
	}
	p.signal(syscall.SIGTERM)
	p.ended(143)
}

func TestRunListen(t *testing.T) {
	guest := guests.Build(t, "serve")
	first, second := freeAddress(t), freeAddress(t)
	p := newRunner(t).start("--listen="+first, "--listen", second, guest)
	p.await("serving 2")
	for address, want := range map[string]string{first: "/a from descriptor 3\n", second: "/a from descriptor 4\n"} {
		if got := httpGet(t, "http://"+address+"/a"); got != want {
			t.Errorf("%s answers %q, want %q", address, got, want)
		}
	}
	p.signal(syscall.SIGTERM)
	p.ended(143)
	if _, err := net.Dial("tcp", first); err == nil {
		t.Errorf("something still listens on %s", first)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	got := newRunner(t).run("--listen="+taken.Addr().String(), guest)
	if got.code != 126 || !strings.Contains(got.stderr, "address already in use") {
		t.Errorf("%+v", got)
	}
}

// TestRunCPU: a guest gets its share of processor time, and not more.
func TestRunCPU(t *testing.T) {
	p := newRunner(t).start("--cpu=200m", "--timeout=2s", kitchen(t), "spin")
	if code := p.wait(); code != 124 {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	// The guest's 400 ms, and the time for the start.
	if used := p.cmd.ProcessState.UserTime(); used > 1200*time.Millisecond {
		t.Errorf("2 s with --cpu=200m took %v of a processor", used)
	}
}

// TestRunOutputRate: the output of one second passes at once. After that it is limited by the rate.
func TestRunOutputRate(t *testing.T) {
	got := newRunner(t).run("--output-rate=10Ki", "--timeout=2s", kitchen(t), "yes")
	if n := len(got.stdout); got.code != 124 || n < 10<<10 || n > 32<<10 {
		t.Errorf("exit code %d, %d bytes in 2 s at 10 KiB/s", got.code, n)
	}
}

// TestRunFileSizeLimit: RLIMIT_FSIZE causes an error only in the guest. Its unit is 512 bytes, or
// 1024 in some shells.
func TestRunFileSizeLimit(t *testing.T) {
	r := newRunner(t)
	r.shell = `ulimit -f 40000 && exec "$@"`
	r.file("file", nil)
	got := r.run("--dir=.", kitchen(t), "truncate", "/file", "50000000")
	if got.code != 1 || !strings.Contains(strings.ToLower(got.stderr), "too large") {
		t.Errorf("exit code %d, standard error:\n%s", got.code, got.stderr)
	}
}

func TestRunHelp(t *testing.T) {
	for _, args := range [][]string{{"run", "--help"}, {"run", "-h", "x.wasm"}, {"run", "--memory=bad", "-h"}} {
		got := runHere(t, args...)
		if got.code != exit.OK || got.stderr != "" {
			t.Fatalf("%q: exit code %d, %s", args, got.code, got.stderr)
		}
		words := strings.Join(strings.Fields(got.stdout), " ")
		for _, f := range flagTable() {
			for _, part := range []string{"--" + f.Name, f.Usage, "default: " + f.Default} {
				if !strings.Contains(words, part) {
					t.Errorf("%q does not contain %q", args, part)
				}
			}
		}
		for line := range strings.Lines(got.stdout) {
			if len(line) > 100 || strings.HasSuffix(line, " \n") {
				t.Errorf("line of %d bytes: %q", len(line), line)
			}
		}
	}
}

// TestRunPage: docs/run.md has every flag and every exit code of the help.
func TestRunPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/run.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flagTable() {
		if !strings.Contains(string(page), "| `--"+f.Name) && !strings.Contains(string(page), ", `--"+f.Name) {
			t.Errorf("docs/run.md has no row for --%s", f.Name)
		}
	}
	for _, code := range []int{exitTimedOut, exitRunFailed, exitCannotRun, exitNotFound, exitOverflow, exitKilled, 134, 129, 130, 143} {
		if !strings.Contains(string(page), fmt.Sprint(code)) {
			t.Errorf("docs/run.md does not name the exit code %d", code)
		}
	}
}

// BenchmarkRun measures how long a user waits for a guest that does nothing, with compiled code:
// the program's start, the module's digest, the guest, and the end.
func BenchmarkRun(b *testing.B) {
	for name, args := range map[string][]string{
		"tiny": {newRunner(b).file("tiny.wasm", guests.Tiny(b)), "x"},
		"go":   {kitchen(b), "echo"},
	} {
		b.Run(name, func(b *testing.B) {
			r := newRunner(b)
			r.ok(args...) // compiles the module
			for b.Loop() {
				r.ok(args...)
			}
		})
	}
}
