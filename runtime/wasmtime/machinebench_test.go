package wasmtime

import (
	goruntime "runtime"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// BenchmarkPlanCall is a call of a host function of a component, without parameters, and what else
// passes between the host and a store.
func BenchmarkPlanCall(b *testing.B) {
	e := newEngine(b)
	r := newRig(b, e, threeParts(b))
	s := r.ran(0, silent)
	s.call(b, threePartsTell, 1000)
	report := func(b *testing.B, each int, used time.Duration) {
		b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/float64(each), "cpu-ns/call")
		b.ReportMetric(0, "ns/op")
	}
	measure := func(name string, each int, f func()) {
		b.Run(name, func(b *testing.B) {
			// A benchmark has a goroutine of its own.
			goruntime.LockOSThread()
			end, err := r.Thread()
			if err != nil {
				b.Fatal(err)
			}
			defer end()
			var used time.Duration
			for b.Loop() {
				before := threadCPU(b)
				f()
				used += threadCPU(b) - before
			}
			report(b, each, used)
		})
	}
	const calls = 20_000
	measure("to the host", calls, func() { s.call(b, threePartsTell, calls) })
	var values [plan.MaxValues]plan.Value
	measure("to the guest", 1000, func() {
		for range 1000 {
			values[0].Bits = 0
			if err := s.Call(threePartsRun, values[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
	measure("realloc", 1000, func() {
		for range 1000 {
			if _, _, err := s.Realloc(threePartsRealloc, 3, 0, 0, 1, 8); err != nil {
				b.Fatal(err)
			}
		}
	})
	measure("memory", 1000, func() {
		for range 1000 {
			s.Memory(3)
		}
	})
}

// BenchmarkPlan is an instance of a component with three modules, its code loaded: made, and closed
// again. It counts processor time: by the wall clock, it waits for other processes.
func BenchmarkPlan(b *testing.B) {
	e := newEngine(b)
	p, err := e.modules.plan(b.Context(), threeParts(b), maxMemory, false)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.close)
	goruntime.LockOSThread()
	h := &hosted{ctx: b.Context(), pace: processor.NewPace(e.turns, 0)}
	var making, closing time.Duration
	for b.Loop() {
		began := threadCPU(b)
		a, err := newAccount(maxMemory)
		if err != nil {
			b.Fatal(err)
		}
		m, err := e.newMachine(p, h, a, false)
		if err != nil {
			b.Fatal(err)
		}
		end, err := m.Thread()
		if err != nil {
			b.Fatal(err)
		}
		s, err := m.NewStore(0, silent)
		if err == nil {
			err = s.Run()
		}
		if err != nil {
			b.Fatal(err)
		}
		made := threadCPU(b)
		s.Close()
		end()
		m.close()
		a.close()
		making += made - began
		closing += threadCPU(b) - made
	}
	b.ReportMetric(float64(making.Nanoseconds())/float64(b.N)/1000, "made-cpu-µs")
	b.ReportMetric(float64(closing.Nanoseconds())/float64(b.N)/1000, "closed-cpu-µs")
}
