package wasmtime

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// BenchmarkDensity starts 5,000 guests that sleep, and tells what one takes: memory of its own beyond the pages of
// its linear memory that it has touched, page tables, and memory areas.
func BenchmarkDensity(b *testing.B) {
	const count = 5000
	for b.Loop() {
		e := newEngine(b)
		file := filepathTiny(b)
		spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Args: []string{"guest"}, Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
		all := make([]runtime.Process, count)
		one := func(i int) {
			p, err := e.Start(b.Context(), spec, runtime.Streams{})
			if err != nil {
				b.Fatalf("guest %d: %v", i, err)
			}
			all[i] = p
		}
		one(0)
		before, mapsBefore := memoryNow(b), areas(b)
		for i := 1; i < count; i++ {
			one(i)
		}
		after, mapsAfter := memoryNow(b), areas(b)
		each := func(what string) float64 { return float64(after[what]-before[what]) / (count - 1) }
		const own = 4 // KB: the one page of its linear memory that tiny writes to
		b.ReportMetric(each("Private_Dirty")+each("Private_Clean")-own, "KB-private/guest")
		b.ReportMetric(each("VmPTE"), "KB-page-tables/guest")
		b.ReportMetric(float64(mapsAfter-mapsBefore)/(count-1), "maps/guest")
		b.ReportMetric(0, "ns/op")
		var wg sync.WaitGroup
		for _, p := range all {
			wg.Go(func() {
				p.Stop(0)
				<-p.Done()
			})
		}
		wg.Wait()
	}
}

// memoryNow is what the process takes, in KB, by the kernel's names.
func memoryNow(t testing.TB) map[string]int {
	t.Helper()
	sizes := map[string]int{}
	for _, file := range []string{"/proc/self/smaps_rollup", "/proc/self/status"} {
		for line := range strings.Lines(read(t, file)) {
			var name string
			var size int
			if n, _ := fmt.Sscanf(line, "%s %d kB", &name, &size); n == 2 {
				sizes[strings.TrimSuffix(name, ":")] = size
			}
		}
	}
	return sizes
}

func areas(t testing.TB) int { return strings.Count(read(t, "/proc/self/maps"), "\n") }
