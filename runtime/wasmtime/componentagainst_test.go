package wasmtime

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// other is another program that runs components: `wasmtime`. Its file is the variable WASMTIME.
type other struct{ program, compiled string }

// newOther compiles a component for it, so that its start need not.
func newOther(b *testing.B, file string) other {
	b.Helper()
	o := other{os.Getenv("WASMTIME"), filepath.Join(b.TempDir(), "compiled")}
	if out, err := exec.CommandContext(b.Context(), o.program, "compile", "-o", o.compiled, file).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return o
}

// run runs the component to its end, and returns the process's own time.
func (o other) run(b *testing.B) (wall, used time.Duration) {
	b.Helper()
	c := exec.CommandContext(b.Context(), o.program, "run", "--allow-precompiled", "-S", "http", o.compiled, "1")
	began := time.Now()
	if err := c.Run(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began), c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

// BenchmarkComponentAgainst compares whole runs of components here with those of `wasmtime run`,
// in turn, so that both meet the same machine. It has rows only if the variable WASMTIME is the
// path of that program. x is how many times as long wasmtime took, of the medians: by the wall
// clock for a start, and for a loop of calls by processor time, without that of a start.
func BenchmarkComponentAgainst(b *testing.B) {
	if os.Getenv("WASMTIME") == "" {
		return
	}
	e := newEngine(b)
	here := func(b *testing.B, file string) (wall, used time.Duration) {
		spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Command: runtime.Command{Args: []string{"guest", "1"}}, Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
		began := time.Now()
		used = run(b, e, spec).CPU
		return time.Since(began), used
	}
	files, names := benchComponents(b)
	for _, name := range names {
		b.Run("start/"+name, func(b *testing.B) {
			o := newOther(b, files[name])
			here(b, files[name]) // compiles it
			var ours, theirs latencies
			for b.Loop() {
				wall, _ := here(b, files[name])
				ours = append(ours, wall)
				wall, _ = o.run(b)
				theirs = append(theirs, wall)
			}
			report(b, ours, theirs)
		})
	}
	const calls = 1_000_000
	for _, c := range componentCalls() {
		b.Run("calls/"+c.name, func(b *testing.B) {
			once, many := wat(b, c.loopOf(1, exportRun)), wat(b, c.loopOf(calls, exportRun))
			o, oMany := newOther(b, once), newOther(b, many)
			here(b, once)
			here(b, many)
			var ours, theirs latencies
			for b.Loop() {
				_, start := here(b, once)
				_, all := here(b, many)
				ours = append(ours, all-start)
				_, start = o.run(b)
				_, all = oMany.run(b)
				theirs = append(theirs, all-start)
			}
			report(b, ours, theirs)
		})
	}
}

func report(b *testing.B, ours, theirs latencies) {
	b.ReportMetric(float64(ours.percentile(50).Microseconds()), "here-µs")
	b.ReportMetric(float64(theirs.percentile(50).Microseconds()), "wasmtime-µs")
	b.ReportMetric(float64(theirs.percentile(50))/float64(ours.percentile(50)), "x")
	b.ReportMetric(0, "ns/op")
}
