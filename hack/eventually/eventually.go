// Package eventually polls for what a test expects to happen.
package eventually

import (
	"testing"
	"time"
)

const (
	// Patience is how long tests wait for what must happen. It does not measure anything: what takes
	// that long hangs. A dozen agents beside each other, each with a core's work to do, can take a
	// minute for what one does in a second.
	Patience = 3 * time.Minute
	// period is the time between two checks.
	period = 20 * time.Millisecond
)

// Succeeds calls check until it returns nil. It fails the test with the last error of check if that
// takes longer than Patience.
func Succeeds(t testing.TB, check func() error) {
	t.Helper()
	tick := time.NewTicker(period)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); ; <-tick.C {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", Patience, err)
		}
	}
}

// True calls is until it returns true. It fails the test with the name of the condition if that
// takes longer than Patience.
func True(t testing.TB, condition string, is func() bool) {
	t.Helper()
	Within(t, Patience, condition, is)
}

// Within is True with another limit, for conditions that must come true in that time.
func Within(t testing.TB, limit time.Duration, condition string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(period)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, condition)
		}
	}
}
