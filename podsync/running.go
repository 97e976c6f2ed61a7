package podsync

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// RunningPods returns the pods that have a running guest, in no order. Each has only its names, its
// UID, and the names and images of the containers that run.
func (m *Manager) RunningPods() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, w := range m.loops.all() {
		if pod := w.view.Load().running(); len(pod.Spec.Containers) > 0 {
			pods = append(pods, pod)
		}
	}
	return pods
}

// running is the pod with the containers that run now.
func (v *view) running() *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: v.pod.Namespace, Name: v.pod.Name, UID: v.pod.UID}}
	for _, c := range podspec.Containers(v.pod) {
		runs, known := v.runs[c.Name]
		if !known || runs.attempt < 0 {
			continue
		}
		select {
		case <-runs.done:
		default:
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c.Name, Image: c.Image})
		}
	}
	return pod
}
