package wire

import "testing"

// TestUnderstands: an agent adopts workers with the numbers from its oldest to its newest, and no
// others.
func TestUnderstands(t *testing.T) {
	for _, c := range []struct {
		number, oldest, newest uint32
		want                   bool
	}{
		{1, 1, 1, true}, {0, 1, 1, false}, {2, 1, 1, false},
		{2, 2, 4, true}, {3, 2, 4, true}, {4, 2, 4, true}, {1, 2, 4, false}, {5, 2, 4, false},
	} {
		if got := within(c.number, c.oldest, c.newest); got != c.want {
			t.Errorf("%d in %d to %d: %v", c.number, c.oldest, c.newest, got)
		}
	}
	if !Understands(Protocol) || !Understands(1) || Understands(0) || Understands(Protocol+1) {
		t.Error("an agent must understand the workers of its own build and those that say 1, and no newer ones")
	}
}
