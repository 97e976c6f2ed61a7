package wasmtime

import (
	"bufio"
	"fmt"
	"os"
	goruntime "runtime"
	"strings"
	"testing"

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

// TestCyclesLeaveNothing starts and ends guests in all ways there are, and looks whether the process grows.
func TestCyclesLeaveNothing(t *testing.T) {
	e := newEngine(t)
	root := t.TempDir()
	write(t, root+"/file", "content")
	spec := runtime.Spec{Mounts: []runtime.Mount{{Host: root, Guest: "/"}, {Host: t.TempDir(), Guest: "/data"}}}
	tiny := filepathTiny(t)
	trapping := wat(t, `(module (memory (export "memory") 1) (func (export "_start") unreachable))`)
	opening := wat(t, `(module
		(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
		(memory (export "memory") 1) (data (i32.const 0) "file")
		(func (export "_start") (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
			(i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)) (then unreachable))))`)
	cycle := func(n int) {
		for i := range n {
			switch i % 4 {
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
