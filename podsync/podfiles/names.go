package podfiles

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/names"
)

// Names is how the node looks up names for the pod's guests: what the pod's /etc/resolv.conf and
// /etc/hosts say. It is made of the pod and the node, not of the files on disk: guests may write to
// those, and must not lead the node to servers.
func (h HostFiles) Names(pod *corev1.Pod, addresses []netip.Addr) (runtime.Names, error) {
	text, _, err := h.DNS.resolvConf(pod) // its warnings are told when the files are made
	if err != nil {
		return runtime.Names{}, err
	}
	own, _, err := h.DNS.resolver(pod)
	if err != nil {
		return runtime.Names{}, err
	}
	n := names.ParseResolvConf(text)
	n.Hosts = names.ParseHosts(hostsFile(pod, h.hosts(), addresses, h.DNS.Domain))
	for _, server := range n.Servers {
		if !slices.ContainsFunc(own.nameservers, func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a == server.Addr() }) {
			n.PodServers = append(n.PodServers, server)
		}
	}
	n.Chosen = len(n.PodServers) > 0
	return n, nil
}
