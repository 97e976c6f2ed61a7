package main

import "testing"

// TestGarbageIsBounded: small processes have Go's own bound, large ones an eighth and 64 MiB.
func TestGarbageIsBounded(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 10 << 20: 100, 64 << 20: 100, 85 << 20: 85, 128 << 20: 60, 400 << 20: 25, 4 << 30: 10} {
		if got := garbagePercent(live); got != want {
			t.Errorf("beside %d MiB there may be %d %% of garbage, want %d", live>>20, got, want)
		}
	}
}

// TestRestIsNoticed: memory is given back some times after a process has come to rest, and again
// after it has done something.
func TestRestIsNoticed(t *testing.T) {
	var r calmness
	const live = 100 << 20
	made := uint64(0)
	looks := func(n int, each uint64) (given int) {
		for range n {
			if made += each; r.look(live, made) {
				given++
			}
		}
		return given
	}
	if n := looks(20, live); n != 0 {
		t.Errorf("a busy process gives memory back %d times", n)
	}
	if n := looks(restLooks-1, 1<<20); n != 0 {
		t.Error("memory is given back at once")
	}
	if n := looks(100, 1<<20); n != restTimes {
		t.Errorf("a process that rests gives memory back %d times", n)
	}
	if n := looks(1, live) + looks(100, 0); n != restTimes {
		t.Errorf("and %d times after it did something", n)
	}
}
