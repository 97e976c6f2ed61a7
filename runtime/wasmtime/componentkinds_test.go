package wasmtime

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// startFed starts a guest with a standard input, and returns its other end.
func startFed(t testing.TB, e *Engine, file string, args ...string) (*guestRun, *io.PipeWriter) {
	t.Helper()
	input, feed := io.Pipe()
	t.Cleanup(func() { _ = feed.Close() })
	spec := runtime.Spec{Command: runtime.Command{Args: append([]string{"kitchen"}, args...)}}
	return startWith(t, e, file, spec, runtime.Streams{Stdin: input}), feed
}

// kitchens are a component for each way in which components come: of WASI 0.2, of WASI 0.3, and a
// Go program of preview 1 that is wrapped.
func kitchens(t testing.TB) map[string]string {
	return map[string]string{
		"0.2": guests.Component(t, "kitchen-0.2"), "0.3": guests.Component(t, "kitchen-0.3"), "wrapped": guests.Wrapped(t, "kitchen"),
	}
}

// TestComponentsDoWhatTheyAreTold: output, exit codes, arguments, environment and files of a
// component are those of the Spec.
func TestComponentsDoWhatTheyAreTold(t *testing.T) {
	e := newEngine(t)
	for version, file := range kitchens(t) {
		root, fixed := t.TempDir(), t.TempDir()
		testfiles.Write(t, filepath.Join(root, "in"), "content")
		testfiles.Write(t, filepath.Join(root, "data", "mountpoint"), "hidden")
		testfiles.Write(t, filepath.Join(fixed, "file"), "fixed")
		mounts := []runtime.Mount{{Host: root, Guest: "/"}, {Host: fixed, Guest: "/data", ReadOnly: true}}
		read, failed := "read", "fail"
		if version == "wrapped" {
			read, failed = "cat", "unheard-of"
		}
		for _, c := range []struct {
			args string
			code int32
			out  string // how standard output ends
		}{
			{"args a b", 0, "kitchen\nargs\na\nb\n"},
			{"env", 0, "KEY=value\nEMPTY=\n"},
			{"exit 0", 0, ""},
			{"exit 7", 7, ""},
			{failed, 1, ""},
			{read + " in", 0, "content"},
			{"write new text", 0, ""},
			{read + " new", 0, "text"},
			{read + " missing", 1, ""},
			{"ls data", 0, "file\n"},
			{read + " data/file", 0, "fixed"},
			{"write data/new text", 1, ""},
			{"write data/file text", 1, ""},
			{read + " ../../etc/hostname", 1, ""},
		} {
			t.Run(version+" "+c.args, func(t *testing.T) {
				if c.args == "unheard-of" {
					c.code = 2 // a Go program knows more codes
				}
				r := start(t, e, file, runtime.Spec{
					Env: []string{"KEY=value", "EMPTY="}, Mounts: mounts,
					Command: runtime.Command{Args: append([]string{"kitchen"}, strings.Fields(c.args)...)},
				})
				exit := r.wait()
				out, errs := r.screen.text()
				if exit.Code != c.code || (exit.Reason == runtime.Completed) != (c.code == 0) || out != c.out {
					t.Errorf("exit %+v, stdout %q, stderr %q; want the code %d and %q", exit, out, errs, c.code, c.out)
				}
			})
		}
		if got, err := os.ReadFile(filepath.Join(fixed, "file")); err != nil || string(got) != "fixed" {
			t.Errorf("%s: in the read-only mount is %q, %v", version, got, err)
		}
	}
}

// TestHelloComponents: the smallest commands, one of which has a callback.
func TestHelloComponents(t *testing.T) {
	e := newEngine(t)
	for version, want := range map[string][2]string{
		"0.2": {"hello from a component\n", "and goodbye\n"}, "0.3": {"hello from a component of WASI 0.3\n", ""},
	} {
		r := start(t, e, guests.Component(t, "hello-"+version), runtime.Spec{})
		exit := r.wait()
		if out, errs := r.screen.text(); exit.Code != 0 || [2]string{out, errs} != want {
			t.Errorf("%s: exit %+v, stdout %q, stderr %q", version, exit, out, errs)
		}
	}
}

// TestStdinOfComponents: what is fed comes out, and the end of the input ends the component.
func TestStdinOfComponents(t *testing.T) {
	e := newEngine(t)
	for version, file := range kitchens(t) {
		t.Run(version, func(t *testing.T) {
			r, feed := startFed(t, e, file, "cat")
			var all strings.Builder
			for _, line := range []string{"one\n", strings.Repeat("two", 100_000) + "\n"} {
				all.WriteString(line)
				if _, err := io.WriteString(feed, line); err != nil {
					t.Fatal(err)
				}
				r.says(all.String())
			}
			if err := feed.Close(); err != nil {
				t.Fatal(err)
			}
			exit := r.wait()
			if out, errs := r.screen.text(); exit.Code != 0 || out != all.String() {
				t.Errorf("exit %+v, %d bytes of %d, stderr %q", exit, len(out), all.Len(), errs)
			}
		})
	}
}

// TestBacktraceOfComponents: the message of a trap says where it was, and the log has it.
func TestBacktraceOfComponents(t *testing.T) {
	e := newEngine(t)
	for _, version := range []string{"0.2", "0.3"} {
		r := start(t, e, guests.Component(t, "kitchen-"+version), runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", "trap"}}})
		exit := r.wait()
		_, errs := r.screen.text()
		if exit.Code != 134 || exit.Reason != runtime.Error || !strings.Contains(errs, exit.Message) {
			t.Errorf("%s: exit %+v, stderr %q", version, exit, errs)
		}
		for _, want := range []string{"trap: unreachable instruction executed\nwasm backtrace:\n", "command (component kitchen, module main, function "} {
			if !strings.Contains(exit.Message, want) {
				t.Errorf("%s: no %q in the message:\n%s", version, want, exit.Message)
			}
		}
	}
}
