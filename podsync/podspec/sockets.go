package podspec

import (
	"cmp"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// listenAnnotation on a pod says whether its containers get listening sockets for their ports:
// "true" or "false". Without it, a pod with an address of its own gets them, because no other pod
// wants its ports. A pod in the host's network also gets them: its ports are the node's, and no
// other pod gets those.
const listenAnnotation = "krustlet-wasi.dev/listen"

// Listens reports whether a pod allows listening sockets. Only the annotation "false" forbids them.
func Listens(pod *corev1.Pod) bool { return pod.Annotations[listenAnnotation] != "false" }

// hasSockets reports whether the containers of a pod get sockets for the ports that its spec names.
func hasSockets(pod *corev1.Pod, at Reach) bool {
	says := pod.Annotations[listenAnnotation]
	return says == "true" || says != "false" && (at.Own || pod.Spec.HostNetwork)
}

// Sockets are the addresses of a container's listening sockets: its TCP ports, in the order of the
// spec, at the pod's first address. If the pod has a second address, the same ports at that address
// follow.
func Sockets(pod *corev1.Pod, c *corev1.Container, at Reach) []string {
	if !hasSockets(pod, at) {
		return nil
	}
	return socketsOf(pod, tcpOf(c.Ports), at)
}

// socketsOf are the addresses of a pod's ports.
func socketsOf(pod *corev1.Pod, ports []corev1.ContainerPort, at Reach) []string {
	var listen []string
	if pod.Spec.HostNetwork {
		for _, p := range ports {
			listen = append(listen, HostSocket(p, at.Host).String())
		}
		return listen
	}
	for _, a := range at.Pod {
		for _, p := range ports {
			listen = append(listen, netip.AddrPortFrom(a, uint16(p.ContainerPort)).String()) //nolint:gosec // the API server checks the range
		}
	}
	return listen
}

// HostSocket is where a pod in the host's network listens for a port: at the address that the port
// names, or else at the node's.
func HostSocket(p corev1.ContainerPort, node netip.Addr) netip.AddrPort {
	if a, err := netip.ParseAddr(p.HostIP); err == nil && !a.IsUnspecified() {
		node = a
	}
	return netip.AddrPortFrom(node, uint16(p.ContainerPort)) //nolint:gosec // the API server checks the range
}

// Offers are the addresses of listening sockets for the TCP ports that a container's image exposes.
// If a container of the pod names such a port, the port belongs to that container. A pod without an
// address of its own gets no such sockets, because ports are scarce there.
func Offers(pod *corev1.Pod, exposed []uint16, at Reach) []string {
	if !at.Own || !Listens(pod) {
		return nil
	}
	return socketsOf(pod, unnamed(pod, exposed), at)
}

// unnamed are those of some TCP ports that no container of the pod names.
func unnamed(pod *corev1.Pod, ports []uint16) []corev1.ContainerPort {
	taken := map[int32]bool{}
	for _, c := range Containers(pod) {
		for _, p := range tcpOf(c.Ports) {
			taken[p.ContainerPort] = true
		}
	}
	var free []corev1.ContainerPort
	for _, p := range ports {
		if !taken[int32(p)] {
			free = append(free, corev1.ContainerPort{ContainerPort: int32(p)})
		}
	}
	return free
}

// tcpOf are the TCP ports among some.
func tcpOf(ports []corev1.ContainerPort) []corev1.ContainerPort {
	var tcp []corev1.ContainerPort
	for _, p := range ports {
		if Protocol(p) == corev1.ProtocolTCP {
			tcp = append(tcp, p)
		}
	}
	return tcp
}

// HostPorts are the ports of the host that a pod's containers want, as the scheduler counts them:
// an init container counts only if it is a sidecar.
func HostPorts(pod *corev1.Pod) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	for _, c := range Containers(pod) {
		if k := KindOf(pod, c.Name); k != App && k != Sidecar {
			continue
		}
		for _, p := range c.Ports {
			if p.HostPort > 0 {
				ports = append(ports, p)
			}
		}
	}
	return ports
}

// Protocol is the protocol of a port. TCP is the default.
func Protocol(p corev1.ContainerPort) corev1.Protocol {
	return cmp.Or(p.Protocol, corev1.ProtocolTCP)
}
