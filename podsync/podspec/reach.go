package podspec

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// Addresses are the addresses of a pod. Once they are known, they stay the same as long as the
// machine has them.
type Addresses struct {
	Known bool
	Own   []netip.Addr // empty if the pod has the node's
}

// Reach has the addresses at which clients reach a pod and its node.
type Reach struct {
	Host netip.Addr
	Pod  []netip.Addr // empty before the pod is set up
	Own  bool         // the pod's addresses are not the node's
}

// ReachOf is the reach of a pod with these addresses.
func ReachOf(pod *corev1.Pod, p Addresses, host netip.Addr) Reach {
	r := Reach{Host: host, Pod: p.Own, Own: len(p.Own) > 0}
	if pod.Spec.HostNetwork || p.Known && !r.Own {
		r.Pod, r.Own = []netip.Addr{host}, false
	}
	return r
}

// Show sets the addresses in a status.
func (r Reach) Show(status *corev1.PodStatus) {
	status.HostIP, status.HostIPs = r.Host.String(), []corev1.HostIP{{IP: r.Host.String()}}
	status.PodIP, status.PodIPs = "", nil
	for i, a := range r.Pod {
		if i == 0 {
			status.PodIP = a.String()
		}
		status.PodIPs = append(status.PodIPs, corev1.PodIP{IP: a.String()})
	}
}
