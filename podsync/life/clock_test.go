package life

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// TestBackOffWhenTheClockIsSet: a worker reports the end of a guest as a time of day. A container
// waits no longer than its back-off, even if the clock was set back before the report or is set
// back later.
func TestBackOffWhenTheClockIsSet(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.launch("a")
	s.at(1, exit("a", 1, 3600), "pull a") // an hour from now; the first restart is immediate
	s.at(1, Pulled{Container: "a"}, "start a #1")
	s.at(1, up("a"))
	wake := s.at(2, exit("a", 1, 3600), "event BackOff")
	if got := wake.Sub(testpod.Epoch).Seconds(); got != 12 {
		t.Errorf("wakes at %v s, want 12 s", got)
	}
	s.at(12, nil, "pull a")

	s = newScript(t, corev1.RestartPolicyAlways, "a")
	s.launch("a")
	c, now := s.state.find("a"), time.Now() //nolint:forbidigo // only this time has a reading of the monotonic clock
	c.crashes.grow(now)
	s.state.Apply(exit("a", 1, now.Sub(testpod.Epoch).Seconds()), now)
	if left := c.notBefore.Sub(now); left < backOffFirst/2 || left > backOffFirst {
		t.Errorf("it waits for %v", left)
	}
	if !strings.Contains(c.notBefore.String(), "m=") {
		t.Errorf("%v is a time of the clock on the wall", c.notBefore)
	}
}
