package wasi_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// signal is a wasi.Signal that a test gives.
type signal struct {
	mu    sync.Mutex
	given bool
	tell  func()
}

func (s *signal) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

func (s *signal) Notify(f func()) {
	s.mu.Lock()
	s.tell = f
	given := s.given
	s.mu.Unlock()
	if given && f != nil {
		f()
	}
}

func (s *signal) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.given = true; s.tell != nil {
		s.tell()
	}
}

// TestSignals waits for a signal, alone and beside a time, standard input and a FIFO.
func TestSignals(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, w := net.Pipe()
	g, err := wasi.New(wasi.Config{Stdin: stdin, Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Close(), stdin.Close(), g.CloseInitial(), g.Close()); err != nil {
			t.Error(err)
		}
	})
	waits := 0
	g.BeforeWait(func() { waits++ })
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	fifo, err := g.Root().Open(ctx, "fifo", wasi.Read|wasi.Write)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fifo.Close(t.Context()) }()
	for _, beside := range [][]wasi.Interest{
		{}, {{After: time.Hour}}, {{Object: g.Stdin()}}, {{Object: fifo}}, {{Object: fifo}, {Object: g.Stdin()}, {After: time.Hour}},
	} {
		s := &signal{}
		list := append([]wasi.Interest{{Signal: s}}, beside...)
		waits = 0
		timer := time.AfterFunc(5*time.Millisecond, s.give)
		if err := g.Poll(ctx, list); err != nil || !list[0].Ready || waits == 0 {
			t.Errorf("the poll beside %d others ended with %v, ready is %v", len(beside), err, list[0].Ready)
		}
		timer.Stop()
		waits = 0
		if err := g.Poll(ctx, list[:1]); err != nil || !list[0].Ready || waits != 0 {
			t.Errorf("a poll of what has happened ended with %v, and waited %d times", err, waits)
		}
		if s.tell != nil {
			t.Error("the signal still has the guest's function")
		}
	}
	s := &signal{}
	time.AfterFunc(5*time.Millisecond, s.give)
	if err := g.WaitFor(ctx, s); err != nil {
		t.Error(err)
	}
	list := []wasi.Interest{{Signal: &signal{}}, {After: time.Millisecond}}
	if err := g.Poll(ctx, list); err != nil || list[0].Ready || !list[1].Ready {
		t.Errorf("a poll of a time ended with %v, %v", err, list)
	}
	time.AfterFunc(5*time.Millisecond, kill)
	if err := g.WaitFor(ctx, &signal{}); !errors.Is(err, wasi.ErrKilled) {
		t.Errorf("the wait ended with %v, want the kill", err)
	}
}
