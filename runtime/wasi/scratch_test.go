package wasi

import "testing"

func TestScratch(t *testing.T) {
	g := newTestGuest(t, Config{})
	for _, n := range []int{0, 1, 100, 3000, KeptScratch, 1, KeptScratch + 1, 1 << 20} {
		if b := g.Scratch(n); len(b) != n {
			t.Errorf("%d bytes, want %d", len(b), n)
		}
	}
	if cap(g.scratch.data) != KeptScratch {
		t.Errorf("%d bytes are kept, want %d", cap(g.scratch.data), KeptScratch)
	}
	if l := g.One([]byte("text")); len(l) != 1 || string(l[0]) != "text" {
		t.Errorf("a list of %q", l)
	}
	if g.One(nil); g.scratch.vector[0] != nil {
		t.Error("a buffer is kept")
	}
}
