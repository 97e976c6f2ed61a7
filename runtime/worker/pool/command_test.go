package pool_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func commandSpec(id string, args ...string) runtime.Spec {
	return runtime.Spec{ID: id, Of: runtime.Origin{Pod: "pod1"}, Module: "/module.wasm", Command: runtime.Command{Args: args}}
}

// zeros is an input of n bytes, of which only a part is in memory at a time.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

// counter counts the bytes that are written to it.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

const manyBytes = 100 << 20

func TestCommandStreams(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	var out, errs bytes.Buffer
	process := mustStart(t, p, commandSpec("s1", "both"), runtime.Streams{Stdout: &out, Stderr: &errs})
	if e := exitOf(t, process); e.Code != 7 || out.String() != "out" || errs.String() != "err" {
		t.Errorf("exit %+v, stdout %q, stderr %q", e, &out, &errs)
	}
	if got := process.Stats(); got.Memory != 65536 {
		t.Errorf("stats after the end: %+v", got)
	}
	if len(p.Runs()) != 0 {
		t.Errorf("a command is a run: %+v", p.Runs())
	}
}

func TestCommandCarriesMuchBothWays(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	out := &counter{}
	if e := exitOf(t, mustStart(t, p, commandSpec("s1", "cat"), runtime.Streams{Stdin: zeros(manyBytes), Stdout: out})); e.Code != 0 || out.n != manyBytes {
		t.Errorf("cat: exit %+v, %d bytes", e, out.n)
	}
	// The guest answers after the end of its input.
	var text bytes.Buffer
	if e := exitOf(t, mustStart(t, p, commandSpec("s2", "count"), runtime.Streams{Stdin: zeros(manyBytes), Stdout: &text})); e.Code != 0 || text.String() != "104857600" {
		t.Errorf("count: exit %+v, %q", e, &text)
	}
}

// gate is a writer that blocks until the test opens it.
type gate struct {
	open chan struct{}
	once sync.Once
	hit  chan struct{} // closed at the first write
	counter
}

func newGate() *gate { return &gate{open: make(chan struct{}), hit: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.once.Do(func() { close(g.hit) })
	<-g.open
	return g.counter.Write(p)
}

func TestReaderThatDoesNotReadHoldsTheGuestBack(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	slow := newGate()
	process := mustStart(t, p, commandSpec("s1", "write", "104857600"), runtime.Streams{Stdout: slow})
	<-slow.hit
	// Other commands on the connection do not wait, but this guest does.
	fast := &counter{}
	if e := exitOf(t, mustStart(t, p, commandSpec("s2", "write", "104857600"), runtime.Streams{Stdout: fast})); e.Code != 0 || fast.n != manyBytes {
		t.Errorf("exit of the other: %+v, %d bytes", e, fast.n)
	}
	select {
	case <-process.Done():
		t.Errorf("it ended although its output was not read: %+v", process.Exit())
	default:
	}
	close(slow.open)
	if e := exitOf(t, process); e.Code != 0 || slow.n != manyBytes {
		t.Errorf("exit: %+v, %d bytes", e, slow.n)
	}
}

func TestCommandIsStoppedThoughItsOutputIsNotRead(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	blocked := newGate()
	defer close(blocked.open)
	in, feed := io.Pipe()
	defer feed.Close()
	process := mustStart(t, p, commandSpec("s1", "write", "104857600"), runtime.Streams{Stdin: in, Stdout: blocked})
	<-blocked.hit
	began := time.Now()
	process.Stop(0)
	if e := exitOf(t, process); e.Code != 137 {
		t.Errorf("exit: %+v", e)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestCommandEndsWithThePool(t *testing.T) {
	cfg := config(t, t.TempDir())
	p := open(t, cfg)
	mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	process := mustStart(t, p, commandSpec("s1", "sleep"), runtime.Streams{})
	p.Close()
	if e := exitOf(t, process); e.Code != 137 {
		t.Errorf("exit: %+v", e)
	}
	again := open(t, cfg)
	// The command's ID can be used again, so the guest has ended.
	eventually.True(t, "the command has ended", func() bool {
		p, err := again.Start(t.Context(), commandSpec("s1", "exit", "0"), runtime.Streams{})
		return err == nil && exitOf(t, p).Code == 0
	})
}

func TestWriterThatFailsIsTheGuestsError(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	r, w := io.Pipe()
	r.CloseWithError(errors.New("closed"))
	if e := exitOf(t, mustStart(t, p, commandSpec("s1", "write", "104857600"), runtime.Streams{Stdout: w})); e.Code != 1 {
		t.Errorf("exit: %+v", e)
	}
}

func TestCommandErrors(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	if _, err := p.Start(t.Context(), commandSpec("s1", "full"), runtime.Streams{}); !errors.Is(err, runtime.ErrFull) {
		t.Errorf("error: %v", err)
	}
	if _, err := p.Start(t.Context(), commandSpec("s1", "panic"), runtime.Streams{}); err == nil {
		t.Error("no error where the engine panicked")
	}
	if _, err := p.Start(t.Context(), spec(t, "r1", "pod1", "sleep"), runtime.Streams{Stdout: io.Discard}); err == nil {
		t.Error("the start of a container took streams, which it does not connect")
	}
}

func TestAttach(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	process := mustStart(t, p, spec(t, "r1", "pod1", "talk"), runtime.Streams{})
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- process.Attach(t.Context(), runtime.Streams{Stdout: w}) }()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	if err := process.Attach(t.Context(), runtime.Streams{Stdin: r}); !errors.Is(err, runtime.ErrStdin) {
		t.Errorf("attach with stdin: %v", err)
	}
	process.Stop(0)
	exitOf(t, process)
	if err := <-ended; err != nil {
		t.Errorf("attach ended with %v", err)
	}

	s := spec(t, "r2", "pod1", "sleep")
	s.Stdin = true
	process = mustStart(t, p, s, runtime.Streams{})
	var out bytes.Buffer
	if err := process.Attach(t.Context(), runtime.Streams{Stdin: zeros(1 << 20), Stdout: &out}); err != nil || out.String() != "read 1048576" {
		t.Errorf("error %v, output %q", err, &out)
	}
}

func TestCancelledCommandStartLeavesNothing(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	flag := filepath.Join(t.TempDir(), "flag")
	if _, err := p.Start(ctx, commandSpec("s1", "slow", flag), runtime.Streams{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error: %v", err)
	}
	_ = os.WriteFile(flag, nil, 0o600)
	eventually.True(t, "its ID is free", func() bool {
		process, err := p.Start(t.Context(), commandSpec("s1", "exit", "0"), runtime.Streams{})
		return err == nil && exitOf(t, process).Code == 0
	})
}
