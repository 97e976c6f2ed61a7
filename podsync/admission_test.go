package podsync

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// TestAdmission: a pod counts from its admission until it has ended, also for the next agent. A
// refused pod has failed, and that is final.
func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pods []*corev1.Pod
		for i := range 4 {
			pod := testpod.New(corev1.RestartPolicyNever, "a")
			pod.Name, pod.UID = fmt.Sprintf("p%d", i), types.UID(fmt.Sprintf("u%d", i))
			pods = append(pods, pod)
		}
		h := newHome(t, pods...)
		h.allocatable = testpod.SmallNode(3)
		phases := func() map[corev1.PodPhase]int {
			got := map[corev1.PodPhase]int{}
			list, err := h.client.Tracker().List(corev1.SchemeGroupVersion.WithResource("pods"), corev1.SchemeGroupVersion.WithKind("Pod"), "ns")
			if err != nil {
				t.Fatal(err)
			}
			for _, pod := range list.(*corev1.PodList).Items {
				got[pod.Status.Phase]++
				if pod.Status.Phase != corev1.PodFailed {
					continue
				}
				want := "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
				if pod.Status.Reason != "OutOfpods" || pod.Status.Message != want || len(pod.Status.ContainerStatuses) > 0 {
					t.Errorf("refused with %q, %q, %d containers", pod.Status.Reason, pod.Status.Message, len(pod.Status.ContainerStatuses))
				}
			}
			h.pods = list.(*corev1.PodList).Items
			return got
		}
		h.run(func(*Manager) {
			pass(time.Second)
			if got := phases(); got[corev1.PodRunning] != 3 || got[corev1.PodFailed] != 1 {
				t.Errorf("phases %v", got)
			}
		})
		h.run(func(m *Manager) {
			h.engine.all()[0].end(0)
			pass(time.Second)
			if got := phases(); got[corev1.PodRunning] != 2 || got[corev1.PodSucceeded] != 1 || got[corev1.PodFailed] != 1 {
				t.Errorf("with the next agent: phases %v", got)
			}
			if got := m.loops.used(nil); podspec.Amount(got.Resources, corev1.ResourcePods) != 2 {
				t.Errorf("%d pods are counted", podspec.Amount(got.Resources, corev1.ResourcePods))
			}
		})
	})
}
