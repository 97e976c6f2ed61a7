package wasmtime

import (
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestHostCalls: every call is counted, both for guests that run and for guests that have ended.
// The sum does not decrease when a guest ends.
func TestHostCalls(t *testing.T) {
	e := newEngine(t)
	const calls, guestCount = 10_000, 8
	file := wat(t, looped(`(import "wasi_snapshot_preview1" "fd_tell" (func $f (param i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))`, "(drop (call $y))",
		`(drop (call $f (i32.const 99) (i32.const 0)))`, calls))
	spec := runtime.Spec{Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"guest"}}, Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}

	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for last := uint64(0); ; {
			now := e.HostCalls()["fd_tell"]
			if now < last {
				t.Errorf("%d calls after %d", now, last)
				return
			}
			last = now
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	var all sync.WaitGroup
	for range guestCount {
		all.Go(func() {
			p, err := e.Start(t.Context(), spec, runtime.Streams{})
			if err != nil {
				t.Error(err)
				return
			}
			<-p.Done()
		})
	}
	all.Wait()
	close(stop)
	<-watched
	got := e.HostCalls()
	if got["fd_tell"] != guestCount*calls || got["sched_yield"] != guestCount || got["fd_write"] != 0 || len(got) != len(hostCalls) {
		t.Errorf("host calls: %v", got)
	}
}

// TestHostCallsOfAGuestThatRuns: calls count while the guest runs, even those that have not
// returned.
func TestHostCallsOfAGuestThatRuns(t *testing.T) {
	e := newEngine(t)
	run := start(t, e, wat(t, `(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1) (func (export "_start")
		(i64.store (i32.const 24) (i64.const 3600000000000))
		(i32.store (i32.const 16) (i32.const 1))
		(drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))`), runtime.Spec{})
	eventually.True(t, "the call counts", func() bool { return e.HostCalls()["poll_oneoff"] == 1 })
	run.process.Stop(0)
	run.wait()
	if n := e.HostCalls()["poll_oneoff"]; n != 1 {
		t.Errorf("%d calls after its end", n)
	}
}
