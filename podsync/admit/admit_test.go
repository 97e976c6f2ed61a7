package admit

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestPod(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"zone": "a"}}}
	node.Spec.Taints = []corev1.Taint{
		{Key: "arch", Value: "wasm", Effect: corev1.TaintEffectNoExecute},
		{Key: "other", Effect: corev1.TaintEffectNoSchedule}, // only the scheduler checks this one
	}
	for name, tt := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"fits":       {func(*corev1.Pod) {}, ""},
		"fits just":  {func(p *corev1.Pod) { testpod.Requesting(p, "1500m", "512Mi") }, ""},
		"processors": {func(p *corev1.Pod) { testpod.Requesting(p, "1501m", "2Gi") }, "OutOfcpu Node didn't have enough resource: cpu, requested: 1501, used: 500, capacity: 2000"},
		"memory":     {func(p *corev1.Pod) { testpod.Requesting(p, "1", "513Mi") }, "OutOfmemory Node didn't have enough resource: memory, requested: 537919488, used: 536870912, capacity: 1073741824"},
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
			if no := Pod(pod, node, testpod.SmallNode(10), Used{Resources: used}); no != nil {
				got = no.Reason + " " + no.Message
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestUnderPressure(t *testing.T) {
	const memory, disk, pid = corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure
	burstable := func(p *corev1.Pod) { p.Status.QOSClass = corev1.PodQOSBurstable }
	tolerant := func(p *corev1.Pod) {
		p.Spec.Tolerations = []corev1.Toleration{{Key: corev1.TaintNodeMemoryPressure, Operator: corev1.TolerationOpExists}}
	}
	system := func(p *corev1.Pod) { n := int32(systemCritical); p.Spec.Priority = &n }
	any := func(*corev1.Pod) {}
	for _, test := range []struct {
		conditions []corev1.NodeConditionType
		change     func(*corev1.Pod)
		want       string
	}{
		{nil, any, ""},
		{[]corev1.NodeConditionType{memory}, any, "[MemoryPressure]"},
		{[]corev1.NodeConditionType{memory}, burstable, ""},
		{[]corev1.NodeConditionType{memory}, tolerant, ""},
		{[]corev1.NodeConditionType{memory}, system, ""},
		{[]corev1.NodeConditionType{memory, disk}, burstable, "[MemoryPressure DiskPressure]"},
		{[]corev1.NodeConditionType{memory, disk}, tolerant, "[MemoryPressure DiskPressure]"},
		{[]corev1.NodeConditionType{disk}, burstable, "[DiskPressure]"},
		{[]corev1.NodeConditionType{disk}, system, ""},
		{[]corev1.NodeConditionType{pid}, burstable, "[PIDPressure]"},
		{[]corev1.NodeConditionType{pid}, system, ""},
	} {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Status.QOSClass = corev1.PodQOSBestEffort
		test.change(pod)
		got := ""
		if no := UnderPressure(pod, test.conditions); no != nil {
			got = no.Reason + " " + no.Message
		}
		want := ""
		if test.want != "" {
			want = fmt.Sprintf("Evicted The node had condition: %s. ", test.want)
		}
		if got != want {
			t.Errorf("%v: %q, want %q", test.conditions, got, want)
		}
	}
}
