package wasmtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestGuestSeesItsWorld(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct {
		name string
		spec runtime.Spec
		args []string
		code int32
		out  string
		err  string
	}{
		{name: "arguments", args: []string{"args", "a b", "", "ü"}, out: "kitchen\nargs\na b\n\nü\n"},
		{name: "environment", spec: runtime.Spec{Env: []string{"A=1", "B=two words", "C="}}, args: []string{"env"}, out: "A=1\nB=two words\nC=\n"},
		{name: "working directory", spec: runtime.Spec{WorkDir: "/srv/data"}, args: []string{"cwd"}, out: "/srv/data\n"},
		{name: "standard error", args: []string{"warn", "x"}, err: "[x]\n"},
		{name: "empty standard input", args: []string{"stdin"}, out: "0 bytes\n"},
		{name: "exit code", args: []string{"exit", "42"}, code: 42},
		{name: "a sleep that ends", args: []string{"sleep", "20ms"}, out: "sleeping\nslept\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			exit, out, errs := kitchen(t, e, c.spec, c.args...)
			reason := runtime.Completed
			if c.code != 0 {
				reason = runtime.Error
			}
			if exit.Code != c.code || exit.Reason != reason || exit.Message != "" {
				t.Errorf("exit %+v, want code %d", exit, c.code)
			}
			if out != c.out || errs != c.err {
				t.Errorf("stdout %q stderr %q, want %q %q", out, errs, c.out, c.err)
			}
			if exit.StartedAt.IsZero() || exit.FinishedAt.Before(exit.StartedAt) {
				t.Errorf("from %v to %v", exit.StartedAt, exit.FinishedAt)
			}
		})
	}
}

func TestClocksAndRandom(t *testing.T) {
	e := newEngine(t)
	before := time.Now()
	_, out, _ := kitchen(t, e, runtime.Spec{}, "clock")
	lines := strings.Fields(out)
	wall, err := strconv.ParseInt(lines[0], 10, 64)
	if err != nil || wall < before.UnixNano() || wall > time.Now().UnixNano() {
		t.Errorf("wall clock %s (%v)", lines[0], err)
	}
	slept, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || slept < int64(20*time.Millisecond) {
		t.Errorf("a sleep of 20 ms took %s ns (%v)", lines[1], err)
	}
	_, out, _ = kitchen(t, e, runtime.Spec{}, "random")
	if r := strings.Fields(out); len(r) != 2 || len(r[0]) != 32 || r[0] == r[1] {
		t.Errorf("random bytes %q", out)
	}
}

func TestGoPanicIsAnOrdinaryExit(t *testing.T) {
	exit, _, errs := kitchen(t, newEngine(t), runtime.Spec{}, "panic")
	if exit.Code != 2 || exit.Reason != runtime.Error || !strings.Contains(errs, "panic: told to") {
		t.Errorf("exit %+v, stderr %q", exit, errs)
	}
}

// TestFiles runs commands one after another on the same mounts: a root, a read-only directory below
// it, one more directory inside that, and a single file.
func TestFiles(t *testing.T) {
	e := newEngine(t)
	root, config, nested, hosts := t.TempDir(), t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "etc-hosts")
	testfiles.Write(t, filepath.Join(config, "key"), "value")
	testfiles.Write(t, filepath.Join(config, "data", "real"), "real")
	testfiles.Symlink(t, "data/real", filepath.Join(config, "link"))
	testfiles.Write(t, hosts, "127.0.0.1 localhost\n")
	spec := runtime.Spec{Mounts: []runtime.Mount{
		{Host: nested, Guest: "/etc/config/nested"},
		{Host: hosts, Guest: "/etc/hosts"},
		{Host: root, Guest: "/"},
		{Host: config, Guest: "/etc/config", ReadOnly: true},
	}}
	for _, c := range []struct {
		args string
		out  string
		err  string
	}{
		{args: "ls /", out: "etc/\n"},
		{args: "ls /etc", out: "config/\nhosts\n"},
		{args: "ls /etc/config", out: "data/\nkey\nlink@\nnested/\n"},
		{args: "cat /etc/hosts /etc/config/key /etc/config/link", out: "127.0.0.1 localhost\nvaluereal"},
		{args: "write /etc/config/new x", err: "Read-only"},
		{args: "append /etc/config/key x", err: "Read-only"},
		{args: "truncate /etc/config/key 0", err: "Read-only"},
		{args: "mkdir /etc/config/new", err: "Read-only"},
		{args: "rm /etc/config/key", err: "Read-only"},
		{args: "rename /etc/config/key /etc/config/k2", err: "Read-only"},
		{args: "touch /etc/config/key 5", err: "Read-only"},
		{args: "link /etc/config/key /etc/config/k2", err: "Read-only"},
		{args: "symlink key /etc/config/k2", err: "Read-only"},
		{args: "write /etc/config/nested/new fresh"},
		{args: "cat /etc/config/nested/new", out: "fresh"},
		{args: "rename /etc/config/nested/new /moved", err: "Cross-device"},
		{args: "rename /etc/config/nested /moved", err: "Resource busy"},
		{args: "rm /etc/config/nested", err: "Resource busy"},
		{args: "mkdir /work/deep"},
		{args: "write /work/deep/a one"},
		{args: "append /work/deep/a , two"},
		{args: "rename /work/deep/a /work/b"},
		{args: "link /work/b /work/c"},
		{args: "symlink /etc/config/link /work/absolute", err: "not permitted"},
		{args: "symlink ../etc/config/nested /work/relative"},
		{args: "symlink ../../../../etc/hosts /work/above"},
		{args: "cat /work/b /work/c /work/relative/new /work/above", out: "one, twoone, twofresh127.0.0.1 localhost\n"},
		{args: "readlink /work/relative", out: "../etc/config/nested\n"},
		{args: "ls /work", out: "above@\nb\nc\ndeep/\nrelative@\n"},
		{args: "truncate /work/b 3"},
		{args: "touch /work/b 1000000000"},
		{args: "stat /work/b", out: "---------- 3 1000000000\n"},
		{args: "rmall /work"},
		{args: "cat /work/b", err: "No such file"},
		{args: "churn / 50"},
		{args: "ls /", out: "etc/\n"},
	} {
		t.Run(c.args, func(t *testing.T) {
			exit, out, errs := kitchen(t, e, spec, strings.Fields(c.args)...)
			if out != c.out || !strings.Contains(strings.ToLower(errs), strings.ToLower(c.err)) || (c.err == "") != (exit.Code == 0) {
				t.Errorf("exit %+v\nstdout %q, want %q\nstderr %q, want %q", exit, out, c.out, errs, c.err)
			}
		})
	}
	if content := read(t, filepath.Join(config, "key")); content != "value" {
		t.Errorf("the read-only file holds %q", content)
	}
}

func TestManyFilesInADirectory(t *testing.T) {
	e := newEngine(t)
	root := t.TempDir()
	var want strings.Builder
	for i := range 1500 {
		name := fmt.Sprintf("file-with-quite-a-long-name-%04d", i)
		testfiles.Write(t, filepath.Join(root, "many", name), "")
		want.WriteString(name + "\n")
	}
	_, out, errs := kitchen(t, e, runtime.Spec{Mounts: []runtime.Mount{{Host: root, Guest: "/"}}}, "ls", "/many")
	if out != want.String() {
		t.Errorf("%d bytes of names, want %d; stderr %q", len(out), want.Len(), errs)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestLog: after Done, the guest's output is in its log file, with the reason of a trap.
func TestLog(t *testing.T) {
	e := newEngine(t)
	file := wat(t, `(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\05\00\00\00line\n")
		(func (export "_start") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100))) unreachable))`)
	path := filepath.Join(t.TempDir(), "0.log")
	p, err := e.Start(t.Context(), runtime.Spec{Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"x"}}, Log: path,
		Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}, runtime.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	lines := strings.Split(strings.TrimSpace(read(t, path)), "\n")
	if len(lines) < 2 || !strings.HasSuffix(lines[0], " stdout F line") || !strings.HasSuffix(lines[1], " stderr F trap: unreachable instruction executed") {
		t.Errorf("log:\n%s", strings.Join(lines, "\n"))
	}
	_, err = e.Start(t.Context(), runtime.Spec{Module: file, Digest: guests.Digest(t, file), Log: "/nonexistent/0.log",
		Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}, runtime.Streams{})
	if err == nil || !strings.Contains(err.Error(), "opening the log") {
		t.Errorf("a log that cannot be: %v", err)
	}
}
