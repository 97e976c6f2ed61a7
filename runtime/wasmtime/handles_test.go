package wasmtime

import (
	"sync"
	"testing"
)

// TestHandles adds and removes guests while other guests look themselves up.
func TestHandles(t *testing.T) {
	var (
		table handles[hosted]
		all   sync.WaitGroup
	)
	for range 8 {
		all.Go(func() {
			for round := range 50 {
				own := map[uintptr]*hosted{}
				for range 10 + round {
					h := &hosted{}
					n := table.add(h)
					if own[n] != nil {
						t.Errorf("number %d is given twice", n)
					}
					own[n] = h
				}
				for n, h := range own {
					if table.get(n) != h {
						t.Errorf("number %d is another guest's", n)
					}
					table.remove(n)
				}
			}
		})
	}
	all.Wait()
	if n := len(*table.list.Load()); len(table.free) != n || n > 1024 {
		t.Errorf("%d of %d numbers are free", len(table.free), n)
	}
}
