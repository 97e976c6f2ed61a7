package events

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

func ResizeStarted(pod *corev1.Pod) Event {
	return Event{corev1.EventTypeNormal, "ResizeStarted", "Pod resize started: " + sizes(pod, pod.Generation, "")}
}

func ResizeCompleted(pod *corev1.Pod, generation int64) Event {
	return Event{corev1.EventTypeNormal, "ResizeCompleted", "Pod resize completed: " + sizes(pod, generation, "")}
}

func ResizePending(pod *corev1.Pod, reason, why string) Event {
	return Event{corev1.EventTypeWarning, "Resize" + reason, fmt.Sprintf("Pod resize %s: %s", reason, sizes(pod, pod.Generation, why))}
}

func ResizeFailed(pod *corev1.Pod, err error) Event {
	return Event{corev1.EventTypeWarning, "ResizeError", "Pod resize error: " + sizes(pod, pod.Generation, err.Error())}
}

// sizes are the resources that a pod's containers request, in the form of the kubelet's events.
func sizes(pod *corev1.Pod, generation int64, problem string) string {
	type container struct {
		Name      string                      `json:"name"`
		Resources corev1.ResourceRequirements `json:"resources,omitzero"`
	}
	summary := struct {
		InitContainers []container `json:"initContainers,omitempty"`
		Containers     []container `json:"containers,omitempty"`
		Generation     int64       `json:"generation"`
		Error          string      `json:"error,omitempty"`
	}{Generation: generation, Error: problem}
	for _, c := range pod.Spec.InitContainers {
		summary.InitContainers = append(summary.InitContainers, container{c.Name, c.Resources})
	}
	for _, c := range pod.Spec.Containers {
		summary.Containers = append(summary.Containers, container{c.Name, c.Resources})
	}
	text, err := json.Marshal(summary)
	if err != nil {
		return problem // this cannot happen: JSON can encode all of it
	}
	return string(text)
}
