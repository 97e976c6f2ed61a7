package podspec

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Kind is the kind of a container in its pod.
type Kind int

const (
	App       Kind = iota // one of spec.containers
	Init                  // an init container; it ends before the next ones begin
	Sidecar               // an init container that runs as long as the pod does
	Ephemeral             // a container that was added to an existing pod
)

// IsInit reports whether the pod's spec has the container among its init containers.
func (k Kind) IsInit() bool { return k == Init || k == Sidecar }

// Containers are all containers of a pod: init containers, then the others, then ephemeral ones,
// each kind in the order of the spec. They belong to the pod, and the caller must not change them.
func Containers(pod *corev1.Pod) []*corev1.Container {
	var all []*corev1.Container
	for i := range pod.Spec.InitContainers {
		all = append(all, &pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		all = append(all, &pod.Spec.Containers[i])
	}
	for i := range pod.Spec.EphemeralContainers {
		all = append(all, (*corev1.Container)(&pod.Spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
	return all
}

// Container is the container with this name, of any kind, or nil.
func Container(pod *corev1.Pod, name string) *corev1.Container {
	for _, c := range Containers(pod) {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// KindOf is the kind of a pod's container.
func KindOf(pod *corev1.Pod, container string) Kind {
	for _, c := range pod.Spec.InitContainers {
		switch {
		case c.Name != container:
		case c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways:
			return Sidecar
		default:
			return Init
		}
	}
	if slices.ContainsFunc(pod.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == container }) {
		return Ephemeral
	}
	return App
}

// FieldPath is the path of a container in its pod's spec, in the form of events.
func FieldPath(pod *corev1.Pod, container string) string {
	list := "containers"
	switch k := KindOf(pod, container); {
	case k.IsInit():
		list = "initContainers"
	case k == Ephemeral:
		list = "ephemeralContainers"
	}
	return fmt.Sprintf("spec.%s{%s}", list, container)
}
