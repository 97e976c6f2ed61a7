package admit

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/node/util/sysctl"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// A pod can ask three kinds of things of the host's kernel. Some have no use for a guest, or every
// guest has them: they are accepted and change nothing. docs/configure-pods.md lists them. Some
// cannot exist on this node: refuseKernel refuses them in the words of a kubelet. Some restrict a
// container: Container checks them when the container starts.

// A kubelet's reasons for pods that it refuses.
const (
	reasonSysctlForbidden   = "SysctlForbidden"
	reasonAppArmor          = "AppArmor"
	reasonFeatureMissing    = "PodFeatureUnsupported"
	reasonGroupsUnsupported = "SupplementalGroupsPolicyNotSupported"
)

// safeSysctls are the sysctls that a kubelet allows every pod, because they change only the pod.
// They change nothing here, because a guest has no kernel of its own.
var safeSysctls = []string{
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.ping_group_range",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_wmem",
}

// refuseSysctls refuses a pod that asks for a sysctl that is not safe.
func refuseSysctls(pod *corev1.Pod) *life.Refusal {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	for _, s := range pod.Spec.SecurityContext.Sysctls {
		name := sysctl.NormalizeName(s.Name)
		namespace, _, _ := sysctl.GetNamespace(name)
		switch {
		case !slices.Contains(safeSysctls, name):
			return &life.Refusal{Reason: reasonSysctlForbidden, Message: fmt.Sprintf("forbidden sysctl: %q not allowlisted", name)}
		case namespace == sysctl.IPCNamespace && pod.Spec.HostIPC, namespace == sysctl.NetNamespace && pod.Spec.HostNetwork:
			return &life.Refusal{Reason: reasonSysctlForbidden, Message: fmt.Sprintf("forbidden sysctl: %q not allowed with host %s enabled", name, namespace)}
		}
	}
	return nil
}

// refuseGroupsPolicy refuses a pod that demands the strict policy for supplementary groups. This
// node does not declare that it has that policy.
func refuseGroupsPolicy(pod *corev1.Pod) *life.Refusal {
	c := pod.Spec.SecurityContext
	if c == nil || c.SupplementalGroupsPolicy == nil || *c.SupplementalGroupsPolicy != corev1.SupplementalGroupsPolicyStrict {
		return nil
	}
	return &life.Refusal{Reason: reasonGroupsUnsupported, Message: fmt.Sprintf("SupplementalGroupsPolicy=%s is not supported in this node", *c.SupplementalGroupsPolicy)}
}

// refuseKernel refuses a pod that asks for something that a kernel does only for processes. Guests
// are not processes.
func refuseKernel(pod *corev1.Pod) *life.Refusal {
	if profile := appArmorProfile(pod); profile != "" {
		return &life.Refusal{Reason: reasonAppArmor, Message: fmt.Sprintf("Cannot enforce AppArmor: guests are not confined by profiles such as %q", profile)}
	}
	var wants []string
	if pod.Spec.HostPID {
		wants = append(wants, "hostPID")
	}
	if pod.Spec.HostIPC {
		wants = append(wants, "hostIPC")
	}
	if len(wants) > 0 {
		return &life.Refusal{Reason: reasonFeatureMissing, Message: "Pod requires node features that are not available: " + strings.Join(wants, ", ")}
	}
	return nil
}

// appArmorProfile is the profile of the node that a container of the pod demands, or empty. The
// runtime's default profile counts as none: WASI confines guests already.
func appArmorProfile(pod *corev1.Pod) string {
	named := func(p *corev1.AppArmorProfile) string {
		if p == nil || p.Type != corev1.AppArmorProfileTypeLocalhost || p.LocalhostProfile == nil {
			return ""
		}
		return *p.LocalhostProfile
	}
	if c := pod.Spec.SecurityContext; c != nil {
		if name := named(c.AppArmorProfile); name != "" {
			return name
		}
	}
	for _, c := range podspec.Containers(pod) {
		if c.SecurityContext == nil {
			continue
		}
		if name := named(c.SecurityContext.AppArmorProfile); name != "" {
			return name
		}
	}
	return ""
}
