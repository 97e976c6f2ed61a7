package wasmtime

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestStopEndsAGuest(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct{ name, says string }{
		{"spin", "spinning"},
		{"sleep", "sleeping"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, e, guests.Build(t, "kitchen"), runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", c.name}}})
			r.says(c.says)
			r.process.Stop(0)
			exit := r.wait()
			if exit.Code != 137 || exit.Reason != runtime.Error || exit.Message != messageKilled {
				t.Errorf("exit %+v", exit)
			}
			if _, errs := r.screen.text(); errs != "" {
				t.Errorf("stderr %q", errs)
			}
			r.process.Stop(0)
			r.process.Stop(time.Hour)
		})
	}
}

func TestStopWaitsForTheGracePeriod(t *testing.T) {
	e := newEngine(t)
	file := guests.Build(t, "kitchen")

	r := start(t, e, file, runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", "sleep", "200ms"}}})
	r.says("sleeping")
	r.process.Stop(time.Minute)
	if exit := r.wait(); exit.Code != 0 || exit.Reason != runtime.Completed {
		t.Errorf("a guest that ends within its grace period: %+v", exit)
	}

	r = start(t, e, file, runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", "sleep"}}})
	r.says("sleeping")
	began := time.Now()
	r.process.Stop(time.Hour)
	r.process.Stop(50 * time.Millisecond)
	r.process.Stop(time.Hour) // it cannot make the kill later
	if exit := r.wait(); exit.Code != 137 || time.Since(began) < 50*time.Millisecond {
		t.Errorf("after %v: %+v", time.Since(began), exit)
	}
}

// TestGracePeriodIsVisible: a guest that waits for input or for a connection ends by itself when it
// is stopped.
func TestGracePeriodIsVisible(t *testing.T) {
	e := newEngine(t)
	in, end := io.Pipe()
	defer func() { _ = end.Close() }()
	reader := wat(t, `(module (import "wasi_snapshot_preview1" "fd_read" (func $f (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\10\00\00\00")
		(func (export "_start") (if (call $f (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
			(if (i32.load (i32.const 8)) (then unreachable))))`)
	server := wat(t, `(module (import "wasi_snapshot_preview1" "sock_accept" (func $f (param i32 i32 i32) (result i32)))
		(memory (export "memory") 1)
		(func (export "_start") (if (i32.eqz (call $f (i32.const 3) (i32.const 0) (i32.const 8))) (then unreachable))))`)
	for _, c := range []struct {
		name, file string
		listen     []string
	}{{"reads", reader, nil}, {"accepts", server, []string{"127.0.0.1:0"}}} {
		p, err := e.Start(t.Context(), runtime.Spec{Module: c.file, Digest: guests.Digest(t, c.file), Command: runtime.Command{Args: []string{"guest"}, Listen: c.listen},
			Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}, runtime.Streams{Stdin: in})
		if err != nil {
			t.Fatal(err)
		}
		p.Stop(time.Hour)
		<-p.Done()
		if exit := p.Exit(); exit.Code != 0 {
			t.Errorf("a guest that %s: exit %+v", c.name, exit)
		}
	}
}

func TestStopEndsGuestsThatSpinInHostCallsAndMemory(t *testing.T) {
	e := newEngine(t)
	for name, text := range map[string]string{
		"yield": `(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32))) (memory (export "memory") 1)
			(func (export "_start") (loop $l (drop (call $y)) (br $l))))`,
		"recursion": `(module (memory (export "memory") 1)
			(func $f (param i32) (if (i32.gt_u (local.get 0) (i32.const 0)) (then (call $f (i32.sub (local.get 0) (i32.const 1))))))
			(func (export "_start") (loop $l (call $f (i32.const 100)) (br $l))))`,
		"fill": `(module (memory (export "memory") 64)
			(func (export "_start") (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 4000000)) (br $l))))`,
		"random": `(module (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32))) (memory (export "memory") 1000)
			(func (export "_start") (loop $l (drop (call $r (i32.const 0) (i32.const 60000000))) (br $l))))`,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, e, wat(t, text), runtime.Spec{})
			time.Sleep(5 * time.Millisecond) // so that it is in the middle of it; any moment is good
			r.process.Stop(0)
			if exit := r.wait(); exit.Code != 137 {
				t.Errorf("exit %+v", exit)
			}
		})
	}
}

func TestCloseStopsAllGuests(t *testing.T) {
	e := newEngine(t)
	file := guests.Build(t, "kitchen")
	var all []*guestRun
	for _, command := range []string{"spin", "sleep", "spin", "sleep"} {
		all = append(all, start(t, e, file, runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", command}}}))
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for _, r := range all {
		select {
		case <-r.process.Done():
			if exit := r.process.Exit(); exit.Code != 137 {
				t.Errorf("exit %+v", exit)
			}
		default:
			t.Error("a guest outlives its engine")
		}
	}
	if _, err := tryStart(t, e, file, runtime.Spec{}); !errors.Is(err, ErrClosed) {
		t.Errorf("start after close: %v", err)
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	e := newEngine(t)
	file := wat(t, `(module (memory (export "memory") 1) (func $f (loop $l (br $l))) (start $f) (func (export "_start")))`)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	spec := runtime.Spec{Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"x"}}, Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}
	if _, err := e.Start(ctx, spec, runtime.Streams{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := e.Start(ctx, spec, runtime.Streams{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a start section that spins: %v", err)
	}
}

func TestManyGuestsAtOnce(t *testing.T) {
	e := newEngine(t)
	file := filepathTiny(t)
	var all []*guestRun
	for range 200 {
		all = append(all, start(t, e, file, runtime.Spec{}))
	}
	var wg sync.WaitGroup
	for _, r := range all {
		wg.Go(func() { r.process.Stop(0) })
	}
	wg.Wait()
	for _, r := range all {
		if exit := r.wait(); exit.Code != 137 {
			t.Errorf("exit %+v", exit)
		}
	}
}
