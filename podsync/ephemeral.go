package podsync

import corev1 "k8s.io/api/core/v1"

// join takes up the ephemeral containers that a pod got since it was seen last, by `kubectl debug` for instance. The API server
// lets none be changed or taken away. Each runs once, beside the others and whatever the state of those, and counts neither
// for the pod's phase nor for its readiness.
func (s *podState) join(pod *corev1.Pod) {
	for _, e := range pod.Spec.EphemeralContainers {
		if s.container(e.Name) == nil {
			spec := corev1.Container(e.EphemeralContainerCommon)
			c := newContainer(&spec, false)
			c.ephemeral = true
			s.containers = append(s.containers, c)
		}
	}
}

// allContainers are a pod's containers of all kinds, which must not be changed.
func allContainers(pod *corev1.Pod) []*corev1.Container {
	var all []*corev1.Container
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		c := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		all = append(all, &c)
	}
	return all
}

// findContainer is the container of that name, of any kind, or nil.
func findContainer(pod *corev1.Pod, name string) *corev1.Container {
	for _, c := range allContainers(pod) {
		if c.Name == name {
			return c
		}
	}
	return nil
}
