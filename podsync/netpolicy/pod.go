package netpolicy

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Pod is what is kept of a pod.
type Pod struct {
	metav1.TypeMeta
	metav1.ObjectMeta              // only names, UID, resourceVersion and labels
	Host              bool         // it is in the host's network
	IPs               []netip.Addr // empty unless they are the pod's alone, and it has not ended
	Ports             []NamedPort
}

// NamedPort is a port of a container that has a name.
type NamedPort struct {
	Name     string
	Protocol corev1.Protocol
	Number   uint16
}

// PodOf keeps of a pod what policies may ask. The result does not share memory with it, except
// strings.
func PodOf(pod *corev1.Pod) *Pod {
	p := &Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion, Labels: pod.Labels,
		},
		Host: pod.Spec.HostNetwork,
	}
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	if !p.Host && !ended {
		p.IPs = ownAddresses(&pod.Status)
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range containers {
			for _, port := range c.Ports {
				if port.Name != "" {
					named := NamedPort{port.Name, port.Protocol, uint16(port.ContainerPort)} //nolint:gosec // the API server checks the range
					if named.Protocol == "" {
						named.Protocol = corev1.ProtocolTCP
					}
					p.Ports = append(p.Ports, named)
				}
			}
		}
	}
	return p
}

// ownAddresses are the addresses of a pod that are not its node's.
func ownAddresses(status *corev1.PodStatus) (own []netip.Addr) {
	var host []netip.Addr
	for _, h := range status.HostIPs {
		if a, err := netip.ParseAddr(h.IP); err == nil {
			host = append(host, a.Unmap())
		}
	}
	if a, err := netip.ParseAddr(status.HostIP); err == nil {
		host = append(host, a.Unmap())
	}
	for _, p := range status.PodIPs {
		if a, err := netip.ParseAddr(p.IP); err == nil && !slices.Contains(host, a.Unmap()) {
			own = append(own, a.Unmap())
		}
	}
	return own
}

// numbers are the numbers of a named port.
func (p *Pod) numbers(name string, protocol corev1.Protocol) (numbers []uint16) {
	for _, port := range p.Ports {
		if port.Name == name && port.Protocol == protocol {
			numbers = append(numbers, port.Number)
		}
	}
	return numbers
}

// GetObjectKind and DeepCopyObject make a Pod an object that a watch can carry.
func (p *Pod) GetObjectKind() schema.ObjectKind { return &p.TypeMeta }

// DeepCopyObject implements runtime.Object.
func (p *Pod) DeepCopyObject() runtime.Object {
	c := *p
	p.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	c.IPs, c.Ports = slices.Clone(p.IPs), slices.Clone(p.Ports)
	return &c
}
