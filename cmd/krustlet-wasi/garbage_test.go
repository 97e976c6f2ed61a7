package main

import "testing"

// TestGarbageIsBounded: small processes have Go's own bound, large ones a quarter and 64 MiB.
func TestGarbageIsBounded(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 10 << 20: 100, 64 << 20: 100, 85 << 20: 100, 128 << 20: 75, 400 << 20: 40, 4 << 30: 25} {
		if got := garbagePercent(live); got != want {
			t.Errorf("beside %d MiB there may be %d %% of garbage, want %d", live>>20, got, want)
		}
	}
}
