package life

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestEviction: if a volume exceeds its limit, the whole pod fails at once, and its guests end
// within a second.
func TestEviction(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	s := newPod(pod, testpod.Epoch)
	s.setup.progress = complete
	c := s.find("a")
	c.step, c.attempt, c.begun = running, 0, testpod.Epoch
	s.Apply(Outgrown{"too much"}, testpod.Epoch)
	actions, _ := s.Decide(testpod.Epoch)
	stopped := false
	for _, action := range actions {
		if a, ok := action.(Stop); ok && a.Grace <= time.Second {
			stopped = true
		}
	}
	if !stopped {
		t.Errorf("the container is not stopped within a second: %+v", actions)
	}
	s.Apply(RunEnded{"a", runtime.Exit{Code: 137, Reason: runtime.Error, FinishedAt: testpod.Epoch}}, testpod.Epoch)
	if actions, _ := s.Decide(testpod.Epoch); len(actions) > 0 {
		t.Errorf("after its end: %+v", actions)
	}
	status := s.Status(corev1.PodStatus{}, testpod.NodeAddress, testpod.Epoch)
	if status.Phase != corev1.PodFailed || status.Reason != "Evicted" || status.Message != "too much" {
		t.Errorf("%s %s %q", status.Phase, status.Reason, status.Message)
	}
}

// TestEvictionHurries: if a pod with a long grace period is being deleted, an eviction leaves it
// one second.
func TestEvictionHurries(t *testing.T) {
	pod := testpod.Deleted(testpod.New(corev1.RestartPolicyAlways, "a"), 600)
	s := newPod(pod, testpod.Epoch)
	s.setup.progress = complete
	c := s.find("a")
	c.step, c.attempt, c.begun = running, 0, testpod.Epoch
	s.Apply(Updated{pod}, testpod.Epoch)
	s.Decide(testpod.Epoch)
	s.Apply(Reclaimed{"low"}, testpod.Epoch.Add(time.Minute))
	actions, _ := s.Decide(testpod.Epoch.Add(time.Minute))
	if !slices.ContainsFunc(actions, func(a Action) bool { stop, is := a.(Stop); return is && stop.Grace <= time.Second }) {
		t.Errorf("not stopped within a second: %+v", actions)
	}
}
