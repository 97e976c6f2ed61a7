package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestAdmission: if a pod is bound without the scheduler and the node cannot take it, the pod fails
// and says why.
func TestAdmission(t *testing.T) {
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	for name, tt := range map[string]struct {
		change          func(*corev1.Pod)
		reason, message string
	}{
		"processors": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1000")}
		}, "OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: "},
		"memory": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("100Ti")}
		}, "OutOfmemory", "Pod was rejected: Node didn't have enough resource: memory, requested: 109951162777600, used: "},
		"selector": {func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"no": "where"} },
			"NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		"windows": {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} },
			"PodOSNotSupported", "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := s.pod(name, s.tiny)
			pod.Spec.NodeName = s.node.Name
			tt.change(pod)
			pod = s.create(t, ns, pod)
			now := s.awaitPhase(t, ns, name, corev1.PodFailed)
			if now.Status.Reason != tt.reason || !containsPrefix([]string{now.Status.Message}, tt.message) || len(now.Status.ContainerStatuses) > 0 {
				t.Errorf("reason %q, message %q, %d containers", now.Status.Reason, now.Status.Message, len(now.Status.ContainerStatuses))
			}
			s.awaitEvents(t, pod, tt.reason+" "+tt.message[len("Pod was rejected: "):])
			s.delete(t, pod)
			s.awaitGone(t, pod)
		})
	}
}
