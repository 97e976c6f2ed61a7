package wasmtime

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// catText copies its standard input to its standard output, and ends when the input ends.
const catText = `(module
	(import "wasi_snapshot_preview1" "fd_read" (func $r (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1) (data (i32.const 0) "\40\00\00\00\00\10\00\00\40\00\00\00")
	(func (export "_start")
		(loop $l
			(drop (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 12)))
			(if (i32.eqz (i32.load (i32.const 12))) (then (return)))
			(drop (call $w (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 20)))
			(br $l))))`

// startPod runs a module as a container of a pod, with a log.
func startPod(t *testing.T, e *Engine, file string, spec runtime.Spec) runtime.Guest {
	t.Helper()
	spec.ID, spec.Module, spec.Digest, spec.Args = t.Name(), file, guests.Digest(t, file), []string{"guest"}
	spec.Mounts = []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}
	if spec.Log == "" {
		spec.Log = filepath.Join(t.TempDir(), "0.log")
	}
	p, err := e.Start(t.Context(), spec, runtime.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p
}

// attached is a running Attach.
type attached struct {
	out    sink
	in     *io.PipeWriter
	cancel context.CancelFunc
	ended  chan error
}

// attach attaches a writer, and if requested a pipe as input. It returns when both are attached.
func attach(t *testing.T, p runtime.Guest, input bool) *attached {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := &attached{cancel: cancel, ended: make(chan error, 1)}
	t.Cleanup(cancel)
	streams := runtime.Streams{Stdout: &a.out, Stderr: &a.out}
	if input {
		r, w := io.Pipe()
		streams.Stdin, a.in = r, w
		t.Cleanup(func() { _ = w.Close() })
	}
	before := attachments(p)
	go func() { a.ended <- p.Attach(ctx, streams) }()
	eventually.True(t, "it is attached", func() bool { return attachments(p) > before })
	return a
}

func attachments(p runtime.Guest) int {
	attached, _ := clients(p)
	return attached
}

// clients returns how many clients are attached, and how many of them make the guest wait.
func clients(p runtime.Guest) (attached, full int) {
	p.(*guest).mu.Lock()
	defer p.(*guest).mu.Unlock()
	if out := p.(*guest).out; out != nil {
		return out.Clients()
	}
	return 0, 0
}

func (a *attached) types(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(a.in, text); err != nil {
		t.Fatal(err)
	}
}

func (a *attached) sees(t *testing.T, want string) {
	t.Helper()
	eventually.True(t, "the attacher sees "+want, func() bool { return a.out.String() == want })
}

func (a *attached) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.ended:
		return err
	case <-time.After(patience):
		t.Fatal("Attach does not return")
		return nil
	}
}

func TestAttachWhileItRuns(t *testing.T) {
	e := newEngine(t)
	path := filepath.Join(t.TempDir(), "0.log")
	p := startPod(t, e, wat(t, catText), runtime.Spec{Command: runtime.Command{Stdin: true}, Log: path})
	a := attach(t, p, true)
	a.types(t, "one\n")
	a.sees(t, "one\n")
	b := attach(t, p, false)
	a.types(t, "two\n")
	a.sees(t, "one\ntwo\n")
	b.sees(t, "two\n")
	if err := p.Attach(t.Context(), runtime.Streams{Stdin: strings.NewReader("x")}); !errors.Is(err, runtime.ErrStdin) {
		t.Errorf("a second input: %v", err)
	}
	a.cancel()
	if err := a.end(t); !errors.Is(err, context.Canceled) {
		t.Errorf("who goes gets %v", err)
	}
	c := attach(t, p, true)
	c.types(t, "three\n")
	c.sees(t, "three\n")
	b.sees(t, "two\nthree\n")
	_ = c.in.Close() // this ends only the client's input, not the guest's
	ended, end := context.WithCancel(t.Context())
	end()
	eventually.True(t, "another input can be attached", func() bool {
		return errors.Is(p.Attach(ended, runtime.Streams{Stdin: strings.NewReader("")}), context.Canceled)
	})
	d := attach(t, p, true)
	d.types(t, "four\n")
	c.sees(t, "three\nfour\n")

	p.Stop(patience) // the guest's input ends
	for i, a := range []*attached{b, c, d} {
		if err := a.end(t); err != nil {
			t.Errorf("attacher %d: %v", i, err)
		}
	}
	<-p.Done()
	if exit := p.Exit(); exit.Code != 0 || a.out.String() != "one\ntwo\n" {
		t.Errorf("exit %+v, the first saw %q", exit, a.out.String())
	}
	if log := read(t, path); strings.Count(log, "\n") != 4 || !strings.HasSuffix(log, " stdout F four\n") {
		t.Errorf("log %q", log)
	}
	if err := p.Attach(t.Context(), runtime.Streams{Stdout: &a.out}); err != nil {
		t.Errorf("to one that has ended: %v", err)
	}
}

// TestAttachAnswers: a client sees the guest's answer to the beginning of its input, even if that
// input is there at once.
func TestAttachAnswers(t *testing.T) {
	e := newEngine(t)
	p := startPod(t, e, wat(t, catText), runtime.Spec{Command: runtime.Command{Stdin: true}})
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		var out sink
		in := &eager{text: "hello", attached: func() bool { return attachments(p) == 1 }}
		ended := make(chan error, 1)
		go func() { ended <- p.Attach(ctx, runtime.Streams{Stdin: in, Stdout: &out}) }()
		eventually.True(t, "the guest answers", func() bool { return out.String() == "hello" || in.early.Load() })
		cancel()
		<-ended
		if in.early.Load() {
			t.Fatal("input is taken before output is attached")
		}
	}
}

// eager gives its text once.
type eager struct {
	text     string
	attached func() bool
	early    atomic.Bool // whether it was read before its client was attached
}

func (e *eager) Read(p []byte) (int, error) {
	if e.text == "" {
		return 0, io.EOF
	}
	if !e.attached() {
		e.early.Store(true)
	}
	n := copy(p, e.text)
	e.text = ""
	return n, nil
}

func TestStdinOnce(t *testing.T) {
	e := newEngine(t)
	for _, goes := range []bool{false, true} {
		p := startPod(t, e, wat(t, catText), runtime.Spec{Command: runtime.Command{Stdin: true, StdinOnce: true}})
		a := attach(t, p, true)
		a.types(t, "text\n")
		a.sees(t, "text\n")
		if goes {
			a.cancel()
		} else {
			_ = a.in.Close()
		}
		<-p.Done()
		if err := a.end(t); goes != (err != nil) || p.Exit().Code != 0 {
			t.Errorf("goes %v: %v, exit %+v", goes, err, p.Exit())
		}
	}
}

func TestStdinThatIsNotAskedFor(t *testing.T) {
	e := newEngine(t)
	p := startPod(t, e, filepathTiny(t), runtime.Spec{})
	if err := p.Attach(t.Context(), runtime.Streams{Stdin: strings.NewReader("")}); !errors.Is(err, runtime.ErrStdin) {
		t.Errorf("attached: %v", err)
	}
	// Without Stdin the input is empty, and no client can change that.
	p = startPod(t, e, wat(t, catText), runtime.Spec{})
	<-p.Done()
	if exit := p.Exit(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
}

func TestStdinFromTheStart(t *testing.T) {
	e := newEngine(t)
	file := wat(t, catText)
	var out sink
	p, err := e.Start(t.Context(), runtime.Spec{Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"guest"}, Stdin: true, StdinOnce: true},
		Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}, runtime.Streams{Stdin: strings.NewReader(strings.Repeat("x", 100_000)), Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if n := len(out.String()); n != 100_000 {
		t.Errorf("%d bytes came through", n)
	}
}

// loudText writes 64 MB in lines of 1 KB, 64 lines at a time.
const loudText = `(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 2) (data (i32.const 0) "\10\00\00\00\00\00\01\00")
	(func (export "_start") (local $i i32)
		(loop $fill
			(i32.store8 (i32.add (i32.const 1039) (local.get $i)) (i32.const 10))
			(br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1024))) (i32.const 65536))))
		(local.set $i (i32.const 0))
		(loop $l
			(drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
			(br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))))`

func TestStalledAttacherHoldsTheGuest(t *testing.T) {
	e := newEngine(t)
	p := startPod(t, e, wat(t, catText), runtime.Spec{Command: runtime.Command{Stdin: true}})
	a := attach(t, p, true)
	r, w := io.Pipe()
	defer func() { _ = r.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Attach(ctx, runtime.Streams{Stdout: w}) }()
	eventually.True(t, "both are attached", func() bool { return attachments(p) == 2 })
	const want = 20
	go func() {
		for range want {
			_, _ = io.WriteString(a.in, strings.Repeat("x", 4000)+"\n")
		}
		_ = a.in.Close()
	}()
	eventually.True(t, "the guest is held", func() bool { _, full := clients(p); return full == 1 })
	if n := strings.Count(a.out.String(), "\n"); n >= want {
		t.Errorf("the other attacher has %d lines", n)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("who goes gets %v", err)
	}
	eventually.True(t, "the guest goes on", func() bool { return strings.Count(a.out.String(), "\n") == want })
}

func TestStalledAttacherDoesNotHoldAKill(t *testing.T) {
	e := newEngine(t)
	p := startPod(t, e, wat(t, loudText), runtime.Spec{LogMaxSize: 1 << 20, LogMaxFiles: 2})
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- p.Attach(t.Context(), runtime.Streams{Stdout: w}) }()
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil { // it reads no more after that
		t.Fatal(err)
	}
	p.Stop(0)
	<-p.Done()
	if exit := p.Exit(); exit.Code != 137 {
		t.Errorf("exit %+v", exit)
	}
	_ = r.Close()
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Attach gives %v", err)
	}
}

func TestAttacherThatFails(t *testing.T) {
	e := newEngine(t)
	p := startPod(t, e, wat(t, catText), runtime.Spec{Command: runtime.Command{Stdin: true}})
	a := attach(t, p, true)
	ended := make(chan error, 1)
	go func() { ended <- p.Attach(t.Context(), runtime.Streams{Stdout: broken{}}) }()
	eventually.True(t, "both are attached", func() bool { return attachments(p) == 2 })
	a.types(t, "one\n")
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Attach gives %v", err)
	}
	a.types(t, "two\n")
	a.sees(t, "one\ntwo\n")
	// A client's input may also fail. The guest's input then stays open.
	gone := errors.New("the client went")
	_ = a.in.CloseWithError(gone)
	if err := a.end(t); !errors.Is(err, gone) {
		t.Errorf("Attach gives %v", err)
	}
	b := attach(t, p, true)
	b.types(t, "three\n")
	b.sees(t, "three\n")
}

func TestLogRotates(t *testing.T) {
	e := newEngine(t)
	path := filepath.Join(t.TempDir(), "0.log")
	p := startPod(t, e, wat(t, loudText), runtime.Spec{Log: path, LogMaxSize: 1 << 20, LogMaxFiles: 3})
	a := attach(t, p, false)
	<-p.Done()
	files, err := logfile.Files(path)
	if err != nil || len(files) != 3 || p.Exit().Code != 0 {
		t.Errorf("files %v, %v, exit %+v", files, err, p.Exit())
	}
	for _, file := range files {
		if n := len(read(t, file)); n > 1<<20 {
			t.Errorf("%s has %d bytes", file, n)
		}
	}
	if err := a.end(t); err != nil {
		t.Error(err)
	}
}
