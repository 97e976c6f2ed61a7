package wasmtime

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// patience is how long a test waits for something that should happen at once. It is long because
// machines are shared.
const patience = 2 * time.Minute

func newEngine(t testing.TB) *Engine {
	t.Helper()
	e, err := New(Config{CacheDir: guests.CacheDir(t), Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func testLog(t testing.TB) *zap.Logger { return zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)) }

// screen collects the output of guests.
type screen struct {
	mu       sync.Mutex
	out, err bytes.Buffer
}

type screenEnd struct {
	s *screen
	b *bytes.Buffer
}

func (e screenEnd) Write(p []byte) (int, error) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	return e.b.Write(p)
}

func (s *screen) Stdout() io.Writer { return screenEnd{s, &s.out} }
func (s *screen) Stderr() io.Writer { return screenEnd{s, &s.err} }
func (s *screen) Close() error      { return nil }

func (s *screen) text() (out, err string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String(), s.err.String()
}

// guestRun is one run of a guest in a test.
type guestRun struct {
	t       testing.TB
	process runtime.Guest
	screen  *screen
}

// start runs a module as spec says. If spec has no mounts, the guest gets its own root directory.
func start(t testing.TB, e *Engine, file string, spec runtime.Spec) *guestRun {
	t.Helper()
	r, err := tryStart(t, e, file, spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// startWith is start with streams.
func startWith(t testing.TB, e *Engine, file string, spec runtime.Spec, streams runtime.Streams) *guestRun {
	t.Helper()
	r, err := tryStartWith(t, e, file, spec, streams)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryStart(t testing.TB, e *Engine, file string, spec runtime.Spec) (*guestRun, error) {
	t.Helper()
	return tryStartWith(t, e, file, spec, runtime.Streams{})
}

func tryStartWith(t testing.TB, e *Engine, file string, spec runtime.Spec, streams runtime.Streams) (*guestRun, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := &screen{}
	e.openLog = func(string, logfile.Rotation) (containerLog, error) { return s, nil }
	spec.ID, spec.Module, spec.Digest, spec.Log = t.Name(), file, guests.Digest(t, file), "screen"
	if spec.Mounts == nil {
		spec.Mounts = []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}
	}
	if spec.Args == nil {
		spec.Args = []string{"guest"}
	}
	p, err := e.Start(ctx, spec, streams)
	return &guestRun{t: t, process: p, screen: s}, err
}

func (r *guestRun) wait() runtime.Exit {
	r.t.Helper()
	select {
	case <-r.process.Done():
		return r.process.Exit()
	case <-time.After(patience):
		r.t.Fatal("the guest does not end")
		return runtime.Exit{}
	}
}

// says waits until the text is in the guest's standard output.
func (r *guestRun) says(text string) {
	r.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if out, _ := r.screen.text(); strings.Contains(out, text) {
			return
		}
	}
	out, errs := r.screen.text()
	r.t.Fatalf("the guest does not say %q; stdout %q, stderr %q", text, out, errs)
}

// kitchen runs a command of the guest kitchen to its end.
func kitchen(t testing.TB, e *Engine, spec runtime.Spec, args ...string) (runtime.Exit, string, string) {
	t.Helper()
	spec.Args = append([]string{"kitchen"}, args...)
	r := start(t, e, guests.Build(t, "kitchen"), spec)
	exit := r.wait()
	out, errs := r.screen.text()
	return exit, out, errs
}

// wat writes a module, given as text, to a file.
func wat(t testing.TB, text string) string {
	t.Helper()
	wasm, err := wasmtimego.Wat2Wasm(text)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "module.wasm")
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
