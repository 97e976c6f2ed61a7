package instance

import "testing"

// TestFifo: elements come out in their order, and a queue that is never empty does not grow.
func TestFifo(t *testing.T) {
	var f fifo[int]
	if _, ok := f.pop(); ok {
		t.Error("an empty queue has an element")
	}
	next, want := 0, 0
	push := func() { next++; f.push(next) }
	for range 3 {
		push()
	}
	for range 1000 {
		push()
		want++
		if v, ok := f.pop(); !ok || v != want {
			t.Fatalf("element %d is %d, %v", want, v, ok)
		}
	}
	if f.len() != 3 || cap(f.list) > 16 {
		t.Errorf("a queue with %d elements has room for %d", f.len(), cap(f.list))
	}
	for range 3 {
		want++
		if v, ok := f.pop(); !ok || v != want {
			t.Errorf("element %d is %d, %v", want, v, ok)
		}
	}
	if f.len() != 0 || f.from != 0 {
		t.Errorf("an empty queue has %d elements, and begins at %d", f.len(), f.from)
	}
}
