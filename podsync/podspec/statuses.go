package podspec

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Terminal reports whether a phase is one that a pod never leaves.
func Terminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// StatusOf is the status of a container of any kind, or nil if the pod's status does not have one.
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

// HasCondition reports whether a status has a condition with this value.
func HasCondition(status *corev1.PodStatus, kind corev1.PodConditionType, is corev1.ConditionStatus) bool {
	return slices.ContainsFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind && c.Status == is })
}

// scheme is the beginning of container IDs in statuses.
const scheme = "wasmtime://"

// ContainerID is a run's ID in the form of statuses. It is empty if the run has no ID.
func ContainerID(run string) string {
	if run == "" {
		return ""
	}
	return scheme + run
}

// RunID is the ID of the run to which a status's container ID belongs.
func RunID(containerID string) string {
	_, bare, _ := strings.Cut(containerID, "://")
	return bare
}
