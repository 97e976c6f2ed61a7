package podsync

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/node/util/sysctl"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// What a pod asks of the host's kernel falls into three: what a guest has anyway or has no use for
// is accepted and changes nothing (docs/configure-pods.md lists it), what would only be an attempt
// is refused in the words of a kubelet (refuseKernel), and what bounds a container is checked when
// it starts (checkSecurity).

// Reasons of a kubelet for pods that it does not take.
const (
	reasonSysctlForbidden   = "SysctlForbidden"
	reasonAppArmor          = "AppArmor"
	reasonFeatureMissing    = "PodFeatureUnsupported"
	reasonGroupsUnsupported = "SupplementalGroupsPolicyNotSupported"
)

// safeSysctls are those that a kubelet allows every pod: they concern only the pod. A guest has no
// kernel of its own for which they could be set, so they change nothing.
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

// refuseSysctls says whether a pod asks for a sysctl that is not safe.
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

// refuseGroupsPolicy: a node whose status does not say that it keeps supplementary groups apart
// takes no pod that insists on it.
func refuseGroupsPolicy(pod *corev1.Pod) *life.Refusal {
	c := pod.Spec.SecurityContext
	if c == nil || c.SupplementalGroupsPolicy == nil || *c.SupplementalGroupsPolicy != corev1.SupplementalGroupsPolicyStrict {
		return nil
	}
	return &life.Refusal{Reason: reasonGroupsUnsupported, Message: fmt.Sprintf("SupplementalGroupsPolicy=%s is not supported in this node", *c.SupplementalGroupsPolicy)}
}

// refuseKernel says whether a pod asks for what the kernel would have to do to its processes:
// guests are none.
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

// appArmorProfile is a profile of the node's that some container of the pod is to be confined by,
// or empty. The runtime's default, which WASI is here, needs none.
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

// checkUserNamespace: with hostUsers: false a pod wants users of its own.
func checkUserNamespace(pod *corev1.Pod) error {
	if pod.Spec.HostUsers == nil || *pod.Spec.HostUsers {
		return nil
	}
	return errors.New("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
}

// imageUser is whom an image is to run as, if it says.
func imageUser(module registry.Module) string {
	if module.Config == nil {
		return ""
	}
	return module.Config.User
}

// checkSecurity says why a container must not run as its security context is. imageUser is whom its
// image is to run as: a number or a name, a group may follow behind a colon.
func checkSecurity(pod *corev1.Pod, c *corev1.Container, imageUser string) error {
	own := c.SecurityContext
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	nonRoot, user := own.RunAsNonRoot, own.RunAsUser
	if all := pod.Spec.SecurityContext; all != nil {
		if nonRoot == nil {
			nonRoot = all.RunAsNonRoot
		}
		if user == nil {
			user = all.RunAsUser
		}
	}
	if !ptr.Deref(nonRoot, false) {
		return nil
	}
	where := fmt.Sprintf("(pod: %q, container: %s)", fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), c.Name)
	if user != nil {
		if *user == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy %s", where)
		}
		return nil
	}
	name, _, _ := strings.Cut(imageUser, ":")
	number, err := strconv.ParseInt(name, 10, 64)
	switch {
	case name == "" || err == nil && number == 0: // an image that names no user is root's
		return fmt.Errorf("container has runAsNonRoot and image will run as root %s", where)
	case err != nil:
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", name, where)
	}
	return nil
}
