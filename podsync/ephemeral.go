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
