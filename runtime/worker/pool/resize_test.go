package pool_test

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestResize: a guest gets other limits, or its caller gets an error. A guest that has ended needs
// no limits.
func TestResize(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	guest := mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	if err := guest.Resize(t.Context(), runtime.Limits{Memory: 1 << 20, CPU: 500}); err != nil {
		t.Fatal(err)
	}
	if used := guest.Stats(); used.Memory != 1<<20 {
		t.Errorf("the guest was not told of its limits: %+v", used)
	}
	if err := guest.Resize(t.Context(), runtime.Limits{CPU: 1}); err == nil || err.Error() != "too little" {
		t.Errorf("limits that the engine refuses: %v", err)
	}
	guest.Stop(0)
	exitOf(t, guest)
	if err := guest.Resize(t.Context(), runtime.Limits{CPU: 1}); err != nil {
		t.Errorf("after its end: %v", err)
	}
}
