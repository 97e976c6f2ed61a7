package wasmtime

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// sink is a writer for several goroutines.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// broken is a stream whose reader is closed.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// writerText writes "out" to stdout and "err" to stderr, 100 times each and in separate lines, and
// exits with 9 if a write fails.
const writerText = `(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
	(memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\04\00\00\00\20\00\00\00\04\00\00\00out\0a") (data (i32.const 32) "err\0a")
	(func (export "_start") (local $n i32)
		(loop $l
			(if (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)) (then (call $exit (i32.const 9))))
			(if (call $w (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 100)) (then (call $exit (i32.const 9))))
			(br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100))))))`

// attachTo runs a module with attached streams. It has a log file if path is set.
func attachTo(t testing.TB, e *Engine, file, path string, streams runtime.Streams) runtime.Guest {
	t.Helper()
	p, err := e.Start(t.Context(), runtime.Spec{ID: t.Name(), Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"guest"}}, Log: path,
		Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}, streams)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAttachedStreamsStandBesideTheLog(t *testing.T) {
	e := newEngine(t)
	file := wat(t, writerText)
	path := filepath.Join(t.TempDir(), "0.log")
	var both sink
	p := attachTo(t, e, file, path, runtime.Streams{Stdout: &both, Stderr: &both})
	<-p.Done()
	if exit := p.Exit(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
	if want := strings.Repeat("out\nerr\n", 100); both.String() != want {
		t.Errorf("attached: %q", both.String())
	}
	if log := read(t, path); strings.Count(log, " stdout F out\n") != 100 || strings.Count(log, " stderr F err\n") != 100 {
		t.Errorf("log: %q", log)
	}
	var out sink
	p = attachTo(t, e, file, "", runtime.Streams{Stdout: &out})
	<-p.Done()
	if want := strings.Repeat("out\n", 100); out.String() != want {
		t.Errorf("without a log: %q", out.String())
	}
}

func TestAttachedStreamThatFails(t *testing.T) {
	e := newEngine(t)
	file := wat(t, writerText)
	path := filepath.Join(t.TempDir(), "0.log")
	p := attachTo(t, e, file, path, runtime.Streams{Stdout: broken{}})
	<-p.Done()
	if exit := p.Exit(); exit.Code != 0 || strings.Count(read(t, path), " stdout F out\n") != 100 {
		t.Errorf("beside a log: exit %+v", exit)
	}
	p = attachTo(t, e, file, "", runtime.Streams{Stdout: broken{}})
	<-p.Done()
	if exit := p.Exit(); exit.Code != 9 {
		t.Errorf("on its own: exit %+v", exit)
	}
}

func TestReaderThatDoesNotRead(t *testing.T) {
	e := newEngine(t)
	file := wat(t, `(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 4) (data (i32.const 0) "\10\00\00\00\00\00\02\00")
		(func (export "_start") (loop $l (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l))))`)
	r, w := io.Pipe()
	defer func() { _ = r.Close() }() // this ends the abandoned write
	p := attachTo(t, e, file, "", runtime.Streams{Stdout: w})
	some := make([]byte, 100)
	if _, err := io.ReadFull(r, some); err != nil { // it reads no more after that
		t.Fatal(err)
	}
	p.Stop(0)
	<-p.Done()
	if exit := p.Exit(); exit.Code != 137 {
		t.Errorf("exit %+v", exit)
	}
}

// TestReaderThatDoesNotReadAtTheEnd: the log has the output, so the end of the guest does not wait
// long for such a reader.
func TestReaderThatDoesNotReadAtTheEnd(t *testing.T) {
	e := newEngine(t)
	r, w := io.Pipe()
	defer func() { _ = r.Close() }()
	path := filepath.Join(t.TempDir(), "0.log")
	file := wat(t, `(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\05\00\00\00") (data (i32.const 16) "text\0a")
		(func (export "_start") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`)
	p := attachTo(t, e, file, path, runtime.Streams{Stdout: w})
	<-p.Done()
	if exit := p.Exit(); exit.Code != 0 || !strings.Contains(read(t, path), " stdout F text\n") {
		t.Errorf("exit %+v, log %q", exit, read(t, path))
	}
}

func TestAttachedStdin(t *testing.T) {
	e := newEngine(t)
	file := guests.Build(t, "kitchen")
	var out sink
	p, err := e.Start(t.Context(), runtime.Spec{Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"kitchen", "stdin"}},
		Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}, runtime.Streams{Stdin: strings.NewReader("twelve bytes"), Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if out.String() != "12 bytes\n" {
		t.Errorf("stdout %q", out.String())
	}
}

func TestListen(t *testing.T) {
	e := newEngine(t)
	tiny := filepathTiny(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := l.Addr().String()
	_, err = tryStart(t, e, tiny, runtime.Spec{Command: runtime.Command{Listen: []string{"127.0.0.1:0", taken}}})
	if err == nil || !strings.Contains(err.Error(), "listening on "+taken) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("an address in use: %v", err)
	}
	if _, err := tryStart(t, e, tiny, runtime.Spec{Command: runtime.Command{Listen: []string{"nowhere"}}}); err == nil || !strings.Contains(err.Error(), "listening on nowhere: ") {
		t.Errorf("no address: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := start(t, e, tiny, runtime.Spec{Command: runtime.Command{Listen: []string{taken}}})
	r.says("tiny")
	if l, err := net.Listen("tcp", taken); err == nil {
		_ = l.Close()
		t.Error("nothing listens")
	}
	r.process.Stop(0)
	r.wait()
	l, err = net.Listen("tcp", taken)
	if err != nil {
		t.Fatalf("after its end: %v", err)
	}
	if err := errors.Join(l.Close()); err != nil {
		t.Error(err)
	}
}
