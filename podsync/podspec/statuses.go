package podspec

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Terminal reports whether a pod of that phase has ended: it never leaves it.
func Terminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// StatusOf is what a pod's status says of a container of any kind; nil if it says nothing.
func StatusOf(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range statuses {
			if statuses[i].Name == name {
				return &statuses[i]
			}
		}
	}
	return nil
}

// HasCondition reports whether a status has a condition that is so.
func HasCondition(status *corev1.PodStatus, kind corev1.PodConditionType, is corev1.ConditionStatus) bool {
	return slices.ContainsFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind && c.Status == is })
}

// scheme is what the IDs of containers begin with in statuses.
const scheme = "wasmtime://"

// ContainerID is a run's ID as statuses show it; empty for a run of which nothing is known.
func ContainerID(run string) string {
	if run == "" {
		return ""
	}
	return scheme + run
}

// RunID is the ID of the run that a container's ID in a status is of.
func RunID(containerID string) string {
	_, bare, _ := strings.Cut(containerID, "://")
	return bare
}
