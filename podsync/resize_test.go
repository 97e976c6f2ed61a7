package podsync

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// sizeOf tells limits of processor time apart, which withSize sets together with all else.
func sizeOf(r *corev1.ResourceRequirements) string {
	if r == nil {
		return "none"
	}
	return r.Limits.Cpu().String()
}

// sizes is what a status shows of its first container, and of the resize.
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
	pod := testPod(corev1.RestartPolicyNever, "a")
	pod.Generation = 1
	pod.Spec.Containers[0].Resources = size(10)
	pod.Spec.Containers[0].ResizePolicy = policies
	s := script{t, newState(pod, t0)}
	s.launch("a")
	s.shows("given 100m, has 100m")
	return s
}

func (s script) grow(n int64) updated { return updated{withSize(s.state.pod, "a", n)} }

// done is the end of the resize that is under way.
func (s script) done(err error) resized {
	c := s.state.container("a")
	return resized{"a", c.id, c.spec.Resources, err}
}

func TestResize(t *testing.T) {
	s := sizedScript(t)
	s.at(1, s.grow(20), "weigh")
	s.shows("given 100m, has 100m")
	s.at(2, weighed{s.state.pod, nil}, "resize")
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
	s.at(0, weighed{s.state.pod, &refusal{corev1.PodReasonDeferred, "full"}})
	s.shows("given 100m, has 100m, PodResizePending of 2: Deferred full")
	s.at(9, nil)
	s.at(10, nil, "weigh")
	s.shows("given 100m, has 100m, PodResizePending of 2: Deferred full")
	s.at(10, weighed{s.state.pod, &refusal{corev1.PodReasonInfeasible, "too much"}})
	s.shows("given 100m, has 100m, PodResizePending of 2: Infeasible too much")
	s.at(1000, nil)
	s.at(1001, s.grow(15), "weigh") // something else may fit
	s.at(1001, weighed{s.state.pod, nil}, "resize")
	s.shows("given 150m, has 100m, PodResizeInProgress of 3")
	s.at(1002, s.grow(30), "weigh")
	s.at(1002, weighed{s.state.pod, &refusal{corev1.PodReasonDeferred, "full"}})
	s.shows("given 150m, has 100m, PodResizePending of 4: Deferred full, PodResizeInProgress of 3")
	s.at(1003, s.done(nil), "event ResizeCompleted")
	s.at(1004, s.grow(15)) // it was taken back
	s.shows("given 150m, has 150m")
}

func TestResizeThatFails(t *testing.T) {
	s := sizedScript(t)
	s.at(0, s.grow(5), "weigh")
	s.at(0, weighed{s.state.pod, nil}, "resize")
	s.at(1, s.done(errors.New("in use")))
	s.shows("given 50m, has 100m, PodResizeInProgress of 2: Error in use")
	s.at(10, nil)
	s.at(11, nil, "resize")
	s.at(12, s.done(nil), "event ResizeCompleted")
	s.shows("given 50m, has 50m")
}

// TestResizeByRestart: a container that asks for it runs again, whatever its restart policy, and with no delay.
func TestResizeByRestart(t *testing.T) {
	s := sizedScript(t, corev1.ContainerResizePolicy{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer},
		corev1.ContainerResizePolicy{ResourceName: corev1.ResourceCPU, RestartPolicy: corev1.NotRequired})
	s.at(0, s.grow(20), "weigh")
	s.at(0, weighed{s.state.pod, nil}, "event Killing", "stop a in 30s")
	s.shows("given 200m, has 100m, PodResizeInProgress of 2")
	s.at(1, exit("a", 137, 1), "event ResizeCompleted", "pull a")
	s.at(1, pullDone{container: "a"}, "start a #1")
	s.at(1, up("a"))
	s.shows("given 200m, has 200m")

	only := s.grow(20)
	only.pod.Spec.Containers[0].Resources.Limits[corev1.ResourceCPU] = resource.MustParse("300m")
	s.at(2, only, "weigh") // of the processor, which does not ask for it
	s.at(2, weighed{only.pod, nil}, "resize")
}

// TestResizeWhileItStarts: a container runs with the size that it was started with, until it is resized.
func TestResizeWhileItStarts(t *testing.T) {
	pod := testPod(corev1.RestartPolicyNever, "a")
	pod.Spec.Containers[0].Resources = size(10)
	s := script{t, newState(pod, t0)}
	s.at(0, nil, "prepare")
	s.at(0, prepared{}, "pull a")
	s.at(0, pullDone{container: "a"}, "start a #0")
	s.at(0, s.grow(20), "weigh")
	s.at(0, weighed{s.state.pod, nil}, "event ResizeCompleted") // there is none that lacks anything
	s.at(0, up("a"), "resize")
	s.shows("given 200m, has 100m")
}

// TestResizeAcrossAgents: the next agent knows what guests have, and what was to come.
func TestResizeAcrossAgents(t *testing.T) {
	for name, tt := range map[string]struct {
		until func(s script)
		want  []string
		shows string
	}{
		"unweighed": {func(script) {}, []string{"weigh"}, "given 100m, has 100m"},
		"deferred": {func(s script) { s.at(1, weighed{s.state.pod, &refusal{corev1.PodReasonDeferred, "full"}}) },
			[]string{"weigh"}, "given 100m, has 100m, PodResizePending of 2: Deferred full"},
		"infeasible": {func(s script) { s.at(1, weighed{s.state.pod, &refusal{corev1.PodReasonInfeasible, "much"}}) },
			nil, "given 100m, has 100m, PodResizePending of 2: Infeasible much"},
		"going": {func(s script) { s.at(1, weighed{s.state.pod, nil}, "resize") },
			[]string{"weigh"}, "given 100m, has 100m, PodResizeInProgress of 2"},
		"done": {func(s script) {
			s.at(1, weighed{s.state.pod, nil}, "resize")
			s.at(1, s.done(nil), "event ResizeCompleted")
		}, nil, "given 200m, has 200m"},
	} {
		t.Run(name, func(t *testing.T) {
			old := sizedScript(t)
			old.at(0, old.grow(20), "weigh")
			tt.until(old)
			pod := old.state.pod.DeepCopy()
			pod.Status = old.status()
			state, _ := restore(pod, dirsOf(t.TempDir(), pod), []runtime.Run{foundRun("id", 0).run()}, t0)
			s := script{t, state}
			s.shows(tt.shows)
			s.at(0, nil, "prepare")
			s.at(0, prepared{}, tt.want...)
			s.shows(tt.shows)
		})
	}
}

// TestResizedGuest: a guest is told of its limits as it runs, and commands beside it have them, too; what does not fit is
// refused in the words of a kubelet, and counts for nobody.
func TestResizedGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testPod(corev1.RestartPolicyAlways, "a")
		pod.Generation = 1
		pod.Spec.Containers[0].Resources = size(10)
		h := newHome(t, pod)
		h.allocatable = smallNode(10)
		h.allocatable[corev1.ResourceCPU], h.allocatable[corev1.ResourceMemory] = resource.MustParse("1"), resource.MustParse("1Gi")
		h.run(func(m *Manager) {
			pass(time.Second)
			w, _ := m.find("ns", "p")
			ask := func(n int64) *corev1.Pod {
				t.Helper()
				w.mailbox.put(withSize(w.report.last, "a", n))
				pass(time.Second)
				now, err := h.client.CoreV1().Pods("ns").Get(t.Context(), "p", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return now
			}
			now := ask(20)
			g := h.engine.all()[0]
			if got := sizeOf(now.Status.ContainerStatuses[0].Resources); got != "200m" || len(g.limits) != 1 || g.limits[0] != (runtime.Limits{Memory: 20 << 20, CPU: 200}) {
				t.Errorf("the status says %s, the guest was told %v", got, g.limits)
			}
			if spec, err := w.dirs.spec("a", g.spec.ID); err != nil || spec.CPULimit != 200 {
				t.Errorf("a command would have %d: %v", spec.CPULimit, err)
			}
			if used := m.used().resources; podspec.Amount(used, corev1.ResourceCPU) != 200 {
				t.Errorf("the pod counts for %v", used)
			}
			now = ask(101)
			const want = "Node didn't have enough capacity: cpu, requested: 1010, capacity: 1000"
			i := len(now.Status.Conditions) - 1
			if c := now.Status.Conditions[i]; c.Type != corev1.PodResizePending || c.Reason != corev1.PodReasonInfeasible || c.Message != want {
				t.Errorf("condition %+v", c)
			}
			if used := m.used().resources; podspec.Amount(used, corev1.ResourceCPU) != 200 || len(g.limits) != 1 {
				t.Errorf("the pod counts for %v, the guest was told %v", used, g.limits)
			}
		})
	})
}

// TestShrinkBelowUse: memory that a guest has is not taken from it.
func TestShrinkBelowUse(t *testing.T) {
	g := foundRun("id", 0)
	g.use(runtime.Stats{Memory: 8 << 20})
	pod := testPod(corev1.RestartPolicyAlways, "a")
	w := &worker{dirs: dirsOf(t.TempDir(), pod)}
	to := sized(&pod.Spec.Containers[0], size(8))
	err := w.giveLimits(t.Context(), pod, g, resize{container: to, id: "id", from: size(10)})
	const want = `attempting to set container "a" memory limit (8388608) below current usage (8388608)`
	if err == nil || err.Error() != want || len(g.limits) > 0 {
		t.Errorf("%v, the guest was told %v", err, g.limits)
	}
}
