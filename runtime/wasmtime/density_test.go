package wasmtime

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// BenchmarkDensity starts 5,000 guests that sleep, and reports the cost of one: its private memory
// except the touched pages of its linear memory, page tables, and memory areas.
func BenchmarkDensity(b *testing.B) {
	const count = 5000
	for b.Loop() {
		e := newEngine(b)
		file := filepathTiny(b)
		spec := runtime.Spec{Module: file, Digest: guests.Digest(b, file), Command: runtime.Command{Args: []string{"guest"}}, Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
		all := make([]runtime.Guest, count)
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
		const own = 4 // KB: the one page of its linear memory to which tiny writes
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

// memoryNow returns the memory that the process uses, in KB, by the kernel's names.
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

// BenchmarkFootprint starts 1,000 guests that sleep, and reports the memory of the process for one
// guest: the part in its linear memory, whose full size counts as the guest's memory use, and the
// rest (resident pages, page tables and kernel stacks).
func BenchmarkFootprint(b *testing.B) {
	const count = 1000
	for _, guest := range []struct {
		name, file string
		args       []string
	}{
		{"tiny", filepathTiny(b), []string{"guest"}}, {"100 KB", largeModule(b), []string{"guest"}},
		{"go 3 MB", guests.Build(b, "kitchen"), []string{"kitchen", "sleep"}},
		{"tiny component", guests.Wrap(b, "tiny", guests.Tiny(b)), []string{"guest"}},
		{"go component 3 MB", guests.Wrapped(b, "kitchen"), []string{"kitchen", "sleep"}},
	} {
		b.Run(guest.name, func(b *testing.B) {
			for b.Loop() {
				e := newEngine(b)
				logs := b.TempDir()
				spec := runtime.Spec{Module: guest.file, Digest: guests.Digest(b, guest.file), Command: runtime.Command{Args: guest.args}, Mounts: []runtime.Mount{{Host: b.TempDir(), Guest: "/"}}}
				started := 0
				one := func() runtime.Guest {
					spec.Log = filepath.Join(logs, fmt.Sprint(started))
					started++
					p, err := e.Start(b.Context(), spec, runtime.Streams{})
					if err != nil {
						b.Fatal(err)
					}
					return p
				}
				all := []runtime.Guest{one()}
				asleep(b, all)
				linearBefore, besideBefore := resident(b)
				kernelBefore := memoryNow(b)["VmPTE"]
				for range count {
					all = append(all, one())
				}
				asleep(b, all)
				linear, beside := resident(b)
				b.ReportMetric(float64(linear-linearBefore)/count, "KB-linear/guest")
				b.ReportMetric(float64(beside-besideBefore)/count, "KB-beside/guest")
				b.ReportMetric(float64(memoryNow(b)["VmPTE"]-kernelBefore)/count, "KB-page-tables/guest")
				b.ReportMetric(float64(all[1].Stats().Memory)/1024, "KB-told/guest")
				b.ReportMetric(0, "ns/op")
				for _, p := range all {
					p.Stop(0)
					<-p.Done()
				}
			}
		})
	}
}

// asleep waits until the guests use no more processor time during a fifth of a second.
func asleep(b *testing.B, all []runtime.Guest) {
	b.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var before, after time.Duration
		for _, p := range all {
			before += p.Stats().CPU
		}
		time.Sleep(200 * time.Millisecond)
		for _, p := range all {
			after += p.Stats().CPU
		}
		if before == after {
			return
		}
	}
	b.Fatal("guests do not come to rest")
}

// resident returns the resident memory of the process, in KB, in linear memories and elsewhere.
// Pages that guests share count once (Pss). A linear memory is recognised by the gigabytes of
// reserved addresses after it, into which it may grow.
func resident(b *testing.B) (linear, beside int) {
	b.Helper()
	type area struct {
		from, to uint64
		used     int // KB
		reserved bool
	}
	var all []area
	for line := range strings.Lines(read(b, "/proc/self/smaps")) {
		var a area
		var perms string
		var size int
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &a.from, &a.to, &perms); n == 3 {
			a.reserved = perms == "---p"
			all = append(all, a)
		} else if n, _ := fmt.Sscanf(line, "Pss: %d kB", &size); n == 1 {
			all[len(all)-1].used = size
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].reserved && all[i].to-all[i].from > 1<<30 {
			for i--; i >= 0 && !all[i].reserved && all[i].to == all[i+1].from; i-- {
				linear += all[i].used
			}
			i++
			continue
		}
		beside += all[i].used
	}
	return linear, beside
}
