package podspec

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Names of ports, as Services and Ingresses use them.
const (
	httpPort  = "http"
	httpsPort = "https"
)

// defaultHTTPPort is where a handler is served if neither the pod nor the image names a port.
const defaultHTTPPort = 80

// HTTPSockets are the addresses at which a container is served if its image is an HTTP handler:
// plain ones, and those with TLS. exposed are the TCP ports that its image exposes. The rules for
// pods without an address of their own are those of Sockets and Offers.
//
// The port is the one named http. A pod with TLS may also have one named https: then only that one
// has TLS. Without a port of such a name all TCP ports of the container count. Without any, those
// that the image exposes and no container names, or else 80, unless another container names that.
func HTTPSockets(pod *corev1.Pod, c *corev1.Container, exposed []uint16, at Reach, tls bool) (plain, secure []string) {
	if !hasSockets(pod, at) {
		return nil, nil
	}
	ports := tcpOf(c.Ports)
	byName := func(p corev1.ContainerPort) bool { return p.Name == httpPort || tls && p.Name == httpsPort }
	if slices.ContainsFunc(ports, byName) {
		ports = slices.DeleteFunc(ports, func(p corev1.ContainerPort) bool { return !byName(p) })
	}
	if len(ports) == 0 && at.Own {
		ports = unnamed(pod, exposed)
		if len(ports) == 0 {
			ports = unnamed(pod, []uint16{defaultHTTPPort})
		}
	}
	split := slices.ContainsFunc(ports, func(p corev1.ContainerPort) bool { return p.Name == httpsPort })
	var open, encrypted []corev1.ContainerPort
	for _, p := range ports {
		if tls && (!split || p.Name == httpsPort) {
			encrypted = append(encrypted, p)
		} else {
			open = append(open, p)
		}
	}
	return socketsOf(pod, open, at), socketsOf(pod, encrypted, at)
}
