package podfiles

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

const (
	managedHosts     = "# Kubernetes-managed hosts file.\n"
	managedHostsHost = "# Kubernetes-managed hosts file (host network).\n"
	aliasesFollow    = "\n# Entries added by HostAliases.\n"

	// loopbackHosts is the beginning of every hosts file.
	loopbackHosts = "127.0.0.1\tlocalhost\n" +
		"::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\n" +
		"fe00::0\tip6-mcastprefix\n" +
		"fe00::1\tip6-allnodes\n" +
		"fe00::2\tip6-allrouters\n"
)

// hostsFile is a pod's /etc/hosts. node is the node's own file, which a pod in the host's network
// gets. services is the domain of the cluster's services.
func hostsFile(pod *corev1.Pod, node string, addresses []netip.Addr, services string) string {
	var out strings.Builder
	if pod.Spec.HostNetwork {
		out.WriteString(managedHostsHost)
		out.WriteString(node)
	} else {
		out.WriteString(managedHosts)
		out.WriteString(loopbackHosts)
		names := podspec.Hostname(pod)
		if domain := podspec.Domain(pod, services); domain != "" {
			names = names + "." + domain + "\t" + names
		}
		for _, a := range addresses {
			fmt.Fprintf(&out, "%s\t%s\n", a, names)
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		out.WriteString(aliasesFollow)
	}
	for _, alias := range pod.Spec.HostAliases {
		fmt.Fprintf(&out, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
	}
	return out.String()
}
