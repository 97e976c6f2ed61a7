package life

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// sizeOf names a size by its limit of processor time. testpod.WithSize sets all other figures to
// match.
func sizeOf(r *corev1.ResourceRequirements) string {
	if r == nil {
		return "none"
	}
	return r.Limits.Cpu().String()
}

// sizes says what a status has about the size of its first container and about the resize.
func (s script) sizes() string {
	status := s.status()
	c := status.ContainerStatuses[0]
	text := fmt.Sprintf("given %s, has %s", c.AllocatedResources.Cpu(), sizeOf(c.Resources))
	for _, c := range status.Conditions {
		if c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress {
			text += strings.TrimRight(fmt.Sprintf(", %s of %d: %s %s", c.Type, c.ObservedGeneration, c.Reason, c.Message), ": ")
		}
	}
	return text
}

func (s script) shows(want string) {
	s.t.Helper()
	if got := s.sizes(); got != want {
		s.t.Fatalf("status: %s, want %s", got, want)
	}
}

func sizedScript(t *testing.T, policies ...corev1.ContainerResizePolicy) script {
	pod := testpod.New(corev1.RestartPolicyNever, "a")
	pod.Generation = 1
	pod.Spec.Containers[0].Resources = testpod.Size(10)
	pod.Spec.Containers[0].ResizePolicy = policies
	s := script{t, newPod(pod, testpod.Epoch)}
	s.launch("a")
	s.shows("given 100m, has 100m")
	return s
}

func (s script) grow(n int64) Updated { return Updated{testpod.WithSize(s.state.pod, "a", n)} }

// done is the end of the current resize.
func (s script) done(err error) Resized {
	c := s.state.find("a")
	return Resized{"a", c.id, c.spec.Resources, err}
}

func TestResize(t *testing.T) {
	s := sizedScript(t)
	s.at(1, s.grow(20), "weigh")
	s.shows("given 100m, has 100m")
	s.at(2, Weighed{s.state.pod, nil}, "resize")
	s.shows("given 200m, has 100m, PodResizeInProgress of 2")
	s.at(3, s.done(nil), "event ResizeCompleted")
	s.shows("given 200m, has 200m")
	s.at(4, exit("a", 0, 4))
	s.shows("given 200m, has 200m")
	s.phase(corev1.PodSucceeded)
}

func TestResizeThatDoesNotFit(t *testing.T) {
	s := sizedScript(t)
	s.at(0, s.grow(20), "weigh")
	s.at(0, Weighed{s.state.pod, &Refusal{corev1.PodReasonDeferred, "full"}})
	s.shows("given 100m, has 100m, PodResizePending of 2: Deferred full")
	s.at(9, nil)
	s.at(10, nil, "weigh")
	s.shows("given 100m, has 100m, PodResizePending of 2: Deferred full")
	s.at(10, Weighed{s.state.pod, &Refusal{corev1.PodReasonInfeasible, "too much"}})
	s.shows("given 100m, has 100m, PodResizePending of 2: Infeasible too much")
	s.at(1000, nil)
	s.at(1001, s.grow(15), "weigh") // another size may fit
	s.at(1001, Weighed{s.state.pod, nil}, "resize")
	s.shows("given 150m, has 100m, PodResizeInProgress of 3")
	s.at(1002, s.grow(30), "weigh")
	s.at(1002, Weighed{s.state.pod, &Refusal{corev1.PodReasonDeferred, "full"}})
	s.shows("given 150m, has 100m, PodResizePending of 4: Deferred full, PodResizeInProgress of 3")
	s.at(1003, s.done(nil), "event ResizeCompleted")
	s.at(1004, s.grow(15)) // the object asks for the present size again
	s.shows("given 150m, has 150m")
}

func TestResizeThatFails(t *testing.T) {
	s := sizedScript(t)
	s.at(0, s.grow(5), "weigh")
	s.at(0, Weighed{s.state.pod, nil}, "resize")
	s.at(1, s.done(errors.New("in use")))
	s.shows("given 50m, has 100m, PodResizeInProgress of 2: Error in use")
	s.at(10, nil)
	s.at(11, nil, "resize")
	s.at(12, s.done(nil), "event ResizeCompleted")
	s.shows("given 50m, has 50m")
}

// TestResizeByRestart: a container that wants a restart runs again under every restart policy, and
// without a delay.
func TestResizeByRestart(t *testing.T) {
	s := sizedScript(t, corev1.ContainerResizePolicy{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer},
		corev1.ContainerResizePolicy{ResourceName: corev1.ResourceCPU, RestartPolicy: corev1.NotRequired})
	s.at(0, s.grow(20), "weigh")
	s.at(0, Weighed{s.state.pod, nil}, "event Killing", "stop a in 30s")
	s.shows("given 200m, has 100m, PodResizeInProgress of 2")
	s.at(1, exit("a", 137, 1), "event ResizeCompleted", "pull a")
	s.at(1, Pulled{Container: "a"}, "start a #1")
	s.at(1, up("a"))
	s.shows("given 200m, has 200m")

	only := s.grow(20)
	only.Pod.Spec.Containers[0].Resources.Limits[corev1.ResourceCPU] = resource.MustParse("300m")
	s.at(2, only, "weigh") // only the processor's limit changes, and its policy wants no restart
	s.at(2, Weighed{only.Pod, nil}, "resize")
}

// TestResizeWhileItStarts: a container runs with its first size until it is resized.
func TestResizeWhileItStarts(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyNever, "a")
	pod.Spec.Containers[0].Resources = testpod.Size(10)
	s := script{t, newPod(pod, testpod.Epoch)}
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull a")
	s.at(0, Pulled{Container: "a"}, "start a #0")
	s.at(0, s.grow(20), "weigh")
	s.at(0, Weighed{s.state.pod, nil}, "event ResizeCompleted") // no container lacks resources
	s.at(0, up("a"), "resize")
	s.shows("given 200m, has 100m")
}

// TestResizeAcrossAgents: the next agent knows which resources guests have, and which ones they
// should get.
func TestResizeAcrossAgents(t *testing.T) {
	for name, tt := range map[string]struct {
		until func(s script)
		want  []string
		shows string
	}{
		"unweighed": {func(script) {}, []string{"weigh"}, "given 100m, has 100m"},
		"deferred": {func(s script) { s.at(1, Weighed{s.state.pod, &Refusal{corev1.PodReasonDeferred, "full"}}) },
			[]string{"weigh"}, "given 100m, has 100m, PodResizePending of 2: Deferred full"},
		"infeasible": {func(s script) { s.at(1, Weighed{s.state.pod, &Refusal{corev1.PodReasonInfeasible, "much"}}) },
			nil, "given 100m, has 100m, PodResizePending of 2: Infeasible much"},
		"going": {func(s script) { s.at(1, Weighed{s.state.pod, nil}, "resize") },
			[]string{"weigh"}, "given 100m, has 100m, PodResizeInProgress of 2"},
		"done": {func(s script) {
			s.at(1, Weighed{s.state.pod, nil}, "resize")
			s.at(1, s.done(nil), "event ResizeCompleted")
		}, nil, "given 200m, has 200m"},
	} {
		t.Run(name, func(t *testing.T) {
			old := sizedScript(t)
			old.at(0, old.grow(20), "weigh")
			tt.until(old)
			pod := old.state.pod.DeepCopy()
			pod.Status = old.status()
			state, _ := Restore(pod, left(foundRun("id", 0)), testpod.Epoch)
			s := script{t, state}
			s.shows(tt.shows)
			s.at(0, nil, "prepare")
			s.at(0, Prepared{}, tt.want...)
			s.shows(tt.shows)
		})
	}
}
