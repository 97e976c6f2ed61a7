package podsync

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

func wants(pod *corev1.Pod, cpu, memory string) *corev1.Pod {
	pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}
	return pod
}

func smallNode(pods int64) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi"),
		corev1.ResourcePods: *resource.NewQuantity(pods, resource.DecimalSI),
	}
}

func TestRefuse(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"zone": "a"}}}
	node.Spec.Taints = []corev1.Taint{
		{Key: "arch", Value: "wasm", Effect: corev1.TaintEffectNoExecute},
		{Key: "other", Effect: corev1.TaintEffectNoSchedule}, // that is for the scheduler
	}
	for name, tt := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"fits":       {func(*corev1.Pod) {}, ""},
		"fits just":  {func(p *corev1.Pod) { wants(p, "1500m", "512Mi") }, ""},
		"processors": {func(p *corev1.Pod) { wants(p, "1501m", "2Gi") }, "OutOfcpu Node didn't have enough resource: cpu, requested: 1501, used: 500, capacity: 2000"},
		"memory":     {func(p *corev1.Pod) { wants(p, "1", "513Mi") }, "OutOfmemory Node didn't have enough resource: memory, requested: 537919488, used: 536870912, capacity: 1073741824"},
		"windows":    {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, "PodOSNotSupported Failed to admit pod as the OS field doesn't match node OS"},
		"linux":      {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Linux} }, ""},
		"selector":   {func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"zone": "b"} }, "NodeAffinity Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		"selected":   {func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"zone": "a"} }, ""},
		"affinity": {func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpDoesNotExist}}}},
			}}}
		}, "NodeAffinity Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		"taint": {func(p *corev1.Pod) { p.Spec.Tolerations = nil }, "TaintToleration Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.Spec.Tolerations = []corev1.Toleration{{Key: "arch", Operator: corev1.TolerationOpExists}}
			tt.change(pod)
			used := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("512Mi")}
			got := ""
			if no := refuse(pod, node, smallNode(10), taken{resources: used}); no != nil {
				got = no.Reason + " " + no.Message
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestAdmission: pods are counted from when they are taken until they have ended, also by the next
// agent; one that is refused fails for good.
func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pods []*corev1.Pod
		for i := range 4 {
			pod := testpod.New(corev1.RestartPolicyNever, "a")
			pod.Name, pod.UID = fmt.Sprintf("p%d", i), types.UID(fmt.Sprintf("u%d", i))
			pods = append(pods, pod)
		}
		h := newHome(t, pods...)
		h.allocatable = smallNode(3)
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
			if got := m.used(); podspec.Amount(got.resources, corev1.ResourcePods) != 2 {
				t.Errorf("%d pods are counted", podspec.Amount(got.resources, corev1.ResourcePods))
			}
		})
	})
}
