// Package eventually polls until a condition is true that a test expects.
package eventually

import (
	"testing"
	"time"
)

const (
	// Patience is how long tests wait for something that must happen. It does not measure anything:
	// after this time the program hangs. If a dozen agents run at the same time, each with work for
	// one processor, a step of one second can take a minute.
	Patience = 3 * time.Minute
	// period is the time between two checks.
	period = 20 * time.Millisecond
)

// Succeeds calls check until it returns nil. If that takes longer than Patience, it fails the test
// with the last error of check.
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

// True calls is until it returns true. If that takes longer than Patience, it fails the test with
// the name of the condition.
func True(t testing.TB, condition string, is func() bool) {
	t.Helper()
	Within(t, Patience, condition, is)
}

// Within is like True with another limit, for conditions that must be true within that time.
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
