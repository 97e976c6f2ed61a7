package pool_test

import (
	"fmt"
	"io"
	"testing"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// BenchmarkStart is the additional cost of a start in a worker. The fake engine's own start costs
// nothing.
func BenchmarkStart(b *testing.B) {
	b.Run("in process", func(b *testing.B) {
		startMany(b, newFakeEngine())
	})
	b.Run("worker", func(b *testing.B) {
		p := open(b, config(b, b.TempDir()))
		mustStart(b, p, runtime.Spec{ID: "first", Of: runtime.Origin{Pod: "pod1", Container: "c"}, Command: runtime.Command{Args: []string{"sleep"}}}, runtime.Streams{})
		startMany(b, p)
	})
}

func startMany(b *testing.B, e runtime.Engine) {
	i := 0
	for b.Loop() {
		i++
		process, err := e.Start(b.Context(), runtime.Spec{
			ID: fmt.Sprint("r", i), Of: runtime.Origin{Pod: "pod1", Container: "main"}, Module: "/module.wasm", Command: runtime.Command{Args: []string{"sleep"}},
			Env: []string{"A=1", "B=2"}, Mounts: []runtime.Mount{{Host: "/tmp", Guest: "/"}},
		}, runtime.Streams{})
		if err != nil {
			b.Fatal(err)
		}
		process.Stop(0)
		b.StopTimer()
		<-process.Done()
		process.Forget()
		b.StartTimer()
	}
}

// BenchmarkCommand is the throughput of a command's streams.
func BenchmarkCommand(b *testing.B) {
	p := open(b, config(b, b.TempDir()))
	for name, streams := range map[string]func() runtime.Streams{
		"write": func() runtime.Streams { return runtime.Streams{Stdout: io.Discard} },
		"count": func() runtime.Streams { return runtime.Streams{Stdin: zeros(manyBytes), Stdout: io.Discard} },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(manyBytes)
			for b.Loop() {
				process, err := p.Start(b.Context(), commandSpec("s", name, fmt.Sprint(manyBytes)), streams())
				if err != nil {
					b.Fatal(err)
				}
				<-process.Done()
			}
		})
	}
}

// BenchmarkOpen is the time that an agent needs to adopt 500 guests.
func BenchmarkOpen(b *testing.B) {
	cfg := config(b, b.TempDir())
	cfg.Log = zap.NewNop()
	p := open(b, cfg)
	for i := range 500 {
		mustStart(b, p, runtime.Spec{ID: fmt.Sprint("r", i), Of: runtime.Origin{Pod: fmt.Sprint("pod", i), Container: "main"}, Command: runtime.Command{Args: []string{"sleep"}}}, runtime.Streams{})
	}
	p.Close()
	for b.Loop() {
		p, err := pool.Open(b.Context(), cfg)
		if err != nil || len(p.Runs()) != 500 {
			b.Fatalf("error %v, %d runs", err, len(p.Runs()))
		}
		p.Close()
	}
}
