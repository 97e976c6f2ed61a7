package podsync

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestResizedGuest: a guest gets its new limits while it runs, and so do commands beside it. A size
// that does not fit is refused in the kubelet's words, and does not count.
func TestResizedGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Generation = 1
		pod.Spec.Containers[0].Resources = testpod.Size(10)
		h := newHome(t, pod)
		h.allocatable = testpod.SmallNode(10)
		h.allocatable[corev1.ResourceCPU], h.allocatable[corev1.ResourceMemory] = resource.MustParse("1"), resource.MustParse("1Gi")
		h.run(func(m *Manager) {
			pass(time.Second)
			w, _ := m.loops.find("ns", "p")
			ask := func(n int64) *corev1.Pod {
				t.Helper()
				w.mailbox.put(testpod.WithSize(w.report.last, "a", n))
				pass(time.Second)
				now, err := h.client.CoreV1().Pods("ns").Get(t.Context(), "p", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return now
			}
			now := ask(20)
			g := h.engine.all()[0]
			if got := now.Status.ContainerStatuses[0].Resources.Limits.Cpu().String(); got != "200m" || len(g.limits) != 1 || g.limits[0] != (runtime.Limits{Memory: 20 << 20, CPU: 200}) {
				t.Errorf("the status says %s, the guest was told %v", got, g.limits)
			}
			if spec, err := w.dirs.Spec("a", g.spec.ID); err != nil || spec.CPULimit != 200 {
				t.Errorf("a command would have %d: %v", spec.CPULimit, err)
			}
			if used := m.loops.used(nil).Resources; podspec.Amount(used, corev1.ResourceCPU) != 200 {
				t.Errorf("the pod counts for %v", used)
			}
			now = ask(101)
			const want = "Node didn't have enough capacity: cpu, requested: 1010, capacity: 1000"
			i := len(now.Status.Conditions) - 1
			if c := now.Status.Conditions[i]; c.Type != corev1.PodResizePending || c.Reason != corev1.PodReasonInfeasible || c.Message != want {
				t.Errorf("condition %+v", c)
			}
			if used := m.loops.used(nil).Resources; podspec.Amount(used, corev1.ResourceCPU) != 200 || len(g.limits) != 1 {
				t.Errorf("the pod counts for %v, the guest was told %v", used, g.limits)
			}
		})
	})
}

// TestShrinkBelowUse: a guest keeps the memory that it uses.
func TestShrinkBelowUse(t *testing.T) {
	g := &guest{done: make(chan struct{})}
	g.use(runtime.Stats{Memory: 8 << 20})
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	w := &podActions{dirs: dirsOf(t.TempDir(), pod)}
	to := &testpod.WithSize(pod, "a", 8).Spec.Containers[0]
	err := w.giveLimits(t.Context(), pod, g, life.Resize{Container: to, ID: "id", From: testpod.Size(10)})
	const want = `attempting to set container "a" memory limit (8388608) below current usage (8388608)`
	if err == nil || err.Error() != want || len(g.limits) > 0 {
		t.Errorf("%v, the guest was told %v", err, g.limits)
	}
}
