package wasmtime

import (
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestHandlerBlocks asks a guest of WASI 0.3 whose tasks wait on their stacks: several at a time in
// an instance if that is wished, else one, as there they keep each other.
func TestHandlerBlocks(t *testing.T) {
	for _, requests := range []int{0, 8} {
		const all = 6
		s := newSite(t, newEngine(t), "http-blocks-0.3", runtime.HTTP{Requests: requests})
		var wg sync.WaitGroup
		for range all {
			wg.Go(func() { s.get("/").wants(t, 200, "hello\n") })
		}
		wg.Wait()
		if n := s.stats().Cold; (n == all) != (requests == 0) {
			t.Errorf("%d requests at a time have %d instances", all, n)
		}
	}
}
