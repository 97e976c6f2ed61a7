package wasmtime

import (
	"bufio"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// footprint is what a process takes from the machine.
type footprint struct {
	descriptors, threads, maps int
	rss                        int // KiB
	goroutines                 int
}

func takeFootprint(t *testing.T) footprint {
	t.Helper()
	goruntime.GC()
	f := footprint{goroutines: goruntime.NumGoroutine()}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	f.descriptors = len(entries)
	f.maps = strings.Count(read(t, "/proc/self/maps"), "\n")
	scanner := bufio.NewScanner(strings.NewReader(read(t, "/proc/self/status")))
	for scanner.Scan() {
		_, _ = fmt.Sscanf(scanner.Text(), "Threads: %d", &f.threads)
		_, _ = fmt.Sscanf(scanner.Text(), "VmRSS: %d kB", &f.rss)
	}
	return f
}

// TestCyclesLeaveNothing starts and ends guests in all possible ways, and checks that the process
// does not grow.
func TestCyclesLeaveNothing(t *testing.T) {
	e := newEngine(t)
	root := t.TempDir()
	testfiles.Write(t, root+"/file", "content")
	spec := runtime.Spec{Mounts: []runtime.Mount{{Host: root, Guest: "/"}, {Host: t.TempDir(), Guest: "/data"}}}
	tiny := filepathTiny(t)
	trapping := wat(t, `(module (memory (export "memory") 1) (func (export "_start") unreachable))`)
	opening := wat(t, `(module
		(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
		(memory (export "memory") 1) (data (i32.const 0) "file")
		(func (export "_start") (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
			(i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)) (then unreachable))))`)
	attached := runtime.Streams{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}
	listening := spec
	listening.Listen = []string{"127.0.0.1:0"}
	listening.Module, listening.Digest, listening.Args = tiny, guests.Digest(t, tiny), []string{"tiny"}
	limited := spec
	limited.CPULimit, limited.MemoryLimit = 10, 1<<20
	spinning := wat(t, spinText)
	cycle := func(n int) {
		for i := range n {
			switch i % 6 {
			case 0:
				r := start(t, e, tiny, spec)
				r.process.Stop(0)
				r.wait()
			case 1:
				s := spec
				s.Args = []string{"tiny", "x"}
				start(t, e, tiny, s).wait()
			case 2:
				start(t, e, trapping, spec).wait()
			case 4:
				p, err := e.Start(t.Context(), listening, attached)
				if err != nil {
					t.Fatal(err)
				}
				p.Stop(time.Hour)
				p.Stop(0)
				<-p.Done()
			case 5:
				r := start(t, e, spinning, limited)
				r.process.Stop(0)
				r.wait()
			case 3:
				if exit := start(t, e, opening, spec).wait(); exit.Code != 0 {
					t.Fatalf("exit %+v", exit)
				}
			}
		}
	}
	cycle(100)
	before := takeFootprint(t)
	cycle(1000)
	after := takeFootprint(t)
	t.Logf("before %+v, after %+v", before, after)
	if after.descriptors > before.descriptors+2 || after.threads > before.threads+8 || after.goroutines > before.goroutines+4 ||
		after.maps > before.maps+100 || after.rss > before.rss+20<<10 {
		t.Errorf("the process grew: before %+v, after %+v", before, after)
	}
}

// TestTenThousandTraps: faults of guests are common, and leave nothing behind.
func TestTenThousandTraps(t *testing.T) {
	e := newEngine(t)
	root := t.TempDir()
	var specs []runtime.Spec
	for _, body := range []string{"unreachable", "(drop (i32.load (i32.const 0x7fffffff)))", "(drop (i32.div_u (i32.const 1) (i32.const 0)))", "(call $deep)"} {
		file := wat(t, `(module (memory (export "memory") 1) (func $deep (call $deep)) (func (export "_start") `+body+`))`)
		specs = append(specs, runtime.Spec{Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"guest"}}, Mounts: []runtime.Mount{{Host: root, Guest: "/"}}})
	}
	traps := func(n int) {
		for i := range n {
			which := i % (len(specs) - 1)
			if i%50 == 0 { // the last kind, whose backtraces take milliseconds
				which = len(specs) - 1
			}
			p, err := e.Start(t.Context(), specs[which], runtime.Streams{})
			if err != nil {
				t.Fatal(err)
			}
			<-p.Done()
			if exit := p.Exit(); exit.Code != 134 || exit.Reason != runtime.Error || !strings.HasPrefix(exit.Message, "trap: ") {
				t.Fatalf("trap %d: exit %+v", i, exit)
			}
		}
	}
	traps(500)
	before := takeFootprint(t)
	traps(10_000)
	after := takeFootprint(t)
	t.Logf("before %+v, after %+v", before, after)
	if after.descriptors > before.descriptors+2 || after.threads > before.threads+8 || after.maps > before.maps+100 || after.rss > before.rss+20<<10 {
		t.Errorf("the process grew: before %+v, after %+v", before, after)
	}
}
