package podsync

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// taken is what pods have of the node.
type taken struct {
	resources corev1.ResourceList
	ports     []corev1.ContainerPort // those of the host
}

// add counts a pod in.
func (t *taken) add(requests corev1.ResourceList, pod *corev1.Pod) {
	if t.resources == nil {
		t.resources = corev1.ResourceList{}
	}
	for name, quantity := range requests {
		sum := t.resources[name]
		sum.Add(quantity)
		t.resources[name] = sum
	}
	t.ports = append(t.ports, hostPorts(pod)...)
}

// hostPorts are the ports of the host that a pod's containers want, as the scheduler counts them: those of sidecars, and of no
// other init containers, with them.
func hostPorts(pod *corev1.Pod) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	see := func(c *corev1.Container) {
		for _, p := range c.Ports {
			if p.HostPort > 0 {
				ports = append(ports, p)
			}
		}
	}
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			see(c)
		}
	}
	for i := range pod.Spec.Containers {
		see(&pod.Spec.Containers[i])
	}
	return ports
}

// refusePorts says whether a pod wants a port of the host that another has.
func refusePorts(pod *corev1.Pod, used []corev1.ContainerPort) *refusal {
	for _, p := range hostPorts(pod) {
		if slices.ContainsFunc(used, func(other corev1.ContainerPort) bool { return samePort(p, other) }) {
			return mismatch("NodePorts", "node(s) didn't have free ports for the requested pod ports")
		}
	}
	return nil
}

// samePort says whether two ports of the host are in each other's way.
func samePort(a, b corev1.ContainerPort) bool {
	protocol := func(p corev1.ContainerPort) corev1.Protocol {
		if p.Protocol == "" {
			return corev1.ProtocolTCP
		}
		return p.Protocol
	}
	all := func(p corev1.ContainerPort) bool { return p.HostIP == "" || p.HostIP == "0.0.0.0" }
	return a.HostPort == b.HostPort && protocol(a) == protocol(b) && (a.HostIP == b.HostIP || all(a) || all(b))
}
