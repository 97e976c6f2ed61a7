package wasmtime

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

func resize(t *testing.T, p runtime.Guest, limits runtime.Limits) {
	t.Helper()
	if err := p.Resize(t.Context(), limits); err != nil {
		t.Fatal(err)
	}
}

// TestResizeCPU: a guest that has to wait for seconds runs at once when its limit is removed, and
// waits again when it gets a limit.
func TestResizeCPU(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, spinText), runtime.Spec{CPULimit: 1})
	eventually.True(t, "the guest has used what it may", func() bool { return r.process.Stats().CPU >= processor.Epoch })
	resize(t, r.process, runtime.Limits{})
	eventually.True(t, "the guest runs freely", func() bool { return r.process.Stats().CPU > 300*time.Millisecond })
	resize(t, r.process, runtime.Limits{CPU: 100})
	began, before := time.Now(), r.process.Stats()
	eventually.True(t, "the guest is held back", func() bool { return r.process.Stats().Throttled > before.Throttled+500*time.Millisecond })
	wall, used := time.Since(began), r.process.Stats().CPU-before.CPU
	if most := 0.1*1.1*float64(wall) + 0.1*float64(processor.Period) + float64(3*processor.Epoch); float64(used) > most {
		t.Errorf("a guest limited to 0.1 used %v in %v", used, wall)
	}
	r.process.Stop(0)
	r.wait()
	resize(t, r.process, runtime.Limits{CPU: 5}) // after the guest's end it has no effect
}

// TestResizeMemory: a guest whose request for memory was refused gets it when its new limit allows
// it.
func TestResizeMemory(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, `(module (memory (export "memory") 1) (func (export "_start")
		(loop $l (br_if $l (i32.eq (memory.grow (i32.const 8)) (i32.const -1))))))`), runtime.Spec{MemoryLimit: 4 * wasmPage})
	eventually.True(t, "the guest has run", func() bool { return r.process.Stats().CPU > processor.Epoch })
	resize(t, r.process, runtime.Limits{Memory: 9 * wasmPage})
	if exit := r.wait(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
}

// readThenGrow waits for input, then grows its memory, and fails if it cannot.
const readThenGrow = `(module
	(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(func (export "_start")
		(i32.store (i32.const 0) (i32.const 16))
		(i32.store (i32.const 4) (i32.const 1))
		(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
		(if (i32.eq (memory.grow (i32.const 8)) (i32.const -1)) (then unreachable))))`

// TestResizeOfAGuestThatWaits: when the guest continues, it has its new limit, and its exit names
// this limit.
func TestResizeOfAGuestThatWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after int64
		want          runtime.Reason
	}{
		"more": {4 * wasmPage, 16 * wasmPage, runtime.Completed},
		"less": {16 * wasmPage, 4 * wasmPage, runtime.OOMKilled},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			file := wat(t, readThenGrow)
			input, feed := io.Pipe()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			p, err := e.Start(ctx, runtime.Spec{
				ID: t.Name(), Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"guest"}},
				Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}, MemoryLimit: tt.before,
			}, runtime.Streams{Stdin: input})
			if err != nil {
				t.Fatal(err)
			}
			resize(t, p, runtime.Limits{Memory: tt.after})
			if _, err := feed.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			<-p.Done()
			if exit := p.Exit(); exit.Reason != tt.want {
				t.Errorf("exit %+v", exit)
			}
		})
	}
}
