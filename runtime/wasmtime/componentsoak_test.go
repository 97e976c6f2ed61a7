package wasmtime

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// inUse is how many numbers of Go halves are in use.
func (t *handles[T]) inUse() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.list.Load(); l != nil {
		return len(*l) - len(t.free)
	}
	return 0
}

// TestTenThousandComponents: components that run to their end leave nothing behind.
func TestTenThousandComponents(t *testing.T) {
	for _, name := range []string{"hello-0.2", "hello-0.3"} {
		t.Run(name, func(t *testing.T) { testTenThousand(t, guests.Component(t, name)) })
	}
}

func testTenThousand(t *testing.T, file string) {
	e := newEngine(t)
	spec := runtime.Spec{Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"hello"}}, Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}}}
	runs := func(n int) {
		for i := range n {
			p, err := e.Start(t.Context(), spec, runtime.Streams{})
			if err != nil {
				t.Fatal(err)
			}
			<-p.Done()
			if exit := p.Exit(); exit.Code != 0 || exit.Reason != runtime.Completed {
				t.Fatalf("run %d: exit %+v", i, exit)
			}
		}
	}
	held := func() [3]int {
		e.calls.mu.Lock()
		defer e.calls.mu.Unlock()
		return [3]int{guestHandles.inUse(), storeHandles.inUse(), len(e.calls.machines)}
	}
	first := held()
	runs(500)
	before := takeFootprint(t)
	runs(10_000)
	after := takeFootprint(t)
	t.Logf("before %+v, after %+v", before, after)
	if after.descriptors > before.descriptors+2 || after.threads > before.threads+8 || after.goroutines > before.goroutines+4 ||
		after.maps > before.maps+100 || after.rss > before.rss+20<<10 {
		t.Errorf("the process grew: before %+v, after %+v", before, after)
	}
	if now := held(); now != first {
		t.Errorf("guests, stores and machines: %v before, %v after", first, now)
	}
}
