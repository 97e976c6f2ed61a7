package admit

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Used is what pods have of the node.
type Used struct {
	Resources corev1.ResourceList
	Ports     []corev1.ContainerPort // ports of the host
}

// Add adds what a pod has. While the pod is being resized, requests differ from those of its spec.
func (u *Used) Add(requests corev1.ResourceList, pod *corev1.Pod) {
	if u.Resources == nil {
		u.Resources = corev1.ResourceList{}
	}
	for name, quantity := range requests {
		sum := u.Resources[name]
		sum.Add(quantity)
		u.Resources[name] = sum
	}
	u.Ports = append(u.Ports, podspec.HostPorts(pod)...)
}

// refusePorts refuses a pod that demands a port of the host that another pod has.
func refusePorts(pod *corev1.Pod, used []corev1.ContainerPort) *life.Refusal {
	for _, p := range podspec.HostPorts(pod) {
		if slices.ContainsFunc(used, func(other corev1.ContainerPort) bool { return samePort(p, other) }) {
			return mismatch("NodePorts", "node(s) didn't have free ports for the requested pod ports")
		}
	}
	return nil
}

// samePort reports whether two ports of the host exclude each other.
func samePort(a, b corev1.ContainerPort) bool {
	all := func(p corev1.ContainerPort) bool { return p.HostIP == "" || p.HostIP == "0.0.0.0" }
	return a.HostPort == b.HostPort && podspec.Protocol(a) == podspec.Protocol(b) && (a.HostIP == b.HostIP || all(a) || all(b))
}
