package podsync

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TestBackOffWhenTheClockIsSet: a worker tells when a guest ended by the clock on the wall. A container waits for no longer than its
// back-off, when that clock was set back meanwhile, and when it is set back later.
func TestBackOffWhenTheClockIsSet(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.launch("a")
	s.at(1, exit("a", 1, 3600), "pull a") // an hour from now, and the first restart is immediate
	s.at(1, pullDone{container: "a"}, "start a #1")
	s.at(1, up("a"))
	wake := s.at(2, exit("a", 1, 3600), "event BackOff")
	if got := wake.Sub(t0).Seconds(); got != 12 {
		t.Errorf("wakes at %v s, want 12 s", got)
	}
	s.at(12, nil, "pull a")

	s = newScript(t, corev1.RestartPolicyAlways, "a")
	s.launch("a")
	c := s.state.container("a")
	c.crashes.grow(time.Now())
	s.state.apply(exit("a", 1, time.Since(t0).Seconds()), time.Now())
	if left := time.Until(c.notBefore); left < backOffFirst/2 || left > backOffFirst {
		t.Errorf("it waits for %v", left)
	}
	if !strings.Contains(c.notBefore.String(), "m=") {
		t.Errorf("%v is a time of the clock on the wall", c.notBefore)
	}
}
