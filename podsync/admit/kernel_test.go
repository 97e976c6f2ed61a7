package admit

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func sysctls(names ...string) *corev1.PodSecurityContext {
	c := &corev1.PodSecurityContext{}
	for _, name := range names {
		c.Sysctls = append(c.Sysctls, corev1.Sysctl{Name: name, Value: "1"})
	}
	return c
}

func localProfile(name string) *corev1.AppArmorProfile {
	return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
}

// TestRefuseWhatGuestsCannotHave: a pod is refused if it demands something of the kernel that
// guests cannot get. It is not refused for things that guests have anyway, or that they have no use
// for.
func TestRefuseWhatGuestsCannotHave(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelOSStable: "wasm32-wasi"}}}
	for name, tt := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"safe sysctls": {func(p *corev1.Pod) {
			p.Spec.SecurityContext = sysctls("kernel.shm_rmid_forced", "net/ipv4/tcp_syncookies")
		}, ""},
		"unsafe sysctl": {func(p *corev1.Pod) { p.Spec.SecurityContext = sysctls("kernel.msgmax") }, `SysctlForbidden forbidden sysctl: "kernel.msgmax" not allowlisted`},
		"host's sysctl": {func(p *corev1.Pod) { p.Spec.SecurityContext = sysctls("net.ipv4.tcp_rmem"); p.Spec.HostNetwork = true }, `SysctlForbidden forbidden sysctl: "net.ipv4.tcp_rmem" not allowed with host Net enabled`},
		"linux label":   {func(p *corev1.Pod) { p.Labels = map[string]string{corev1.LabelOSStable: "linux"} }, ""},
		"node's label":  {func(p *corev1.Pod) { p.Labels = map[string]string{corev1.LabelOSStable: "wasm32-wasi"} }, ""},
		"windows label": {func(p *corev1.Pod) { p.Labels = map[string]string{corev1.LabelOSStable: "windows"} }, "PodOSSelectorNodeLabelDoesNotMatch Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"},
		"merged groups": {func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{SupplementalGroupsPolicy: ptr.To(corev1.SupplementalGroupsPolicyMerge)}
		}, ""},
		"strict groups": {func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{SupplementalGroupsPolicy: ptr.To(corev1.SupplementalGroupsPolicyStrict)}
		}, "SupplementalGroupsPolicyNotSupported SupplementalGroupsPolicy=Strict is not supported in this node"},
		"host's PIDs":    {func(p *corev1.Pod) { p.Spec.HostPID = true }, "PodFeatureUnsupported Pod requires node features that are not available: hostPID"},
		"both":           {func(p *corev1.Pod) { p.Spec.HostPID, p.Spec.HostIPC = true, true }, "PodFeatureUnsupported Pod requires node features that are not available: hostPID, hostIPC"},
		"host's network": {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, ""},
		"shared PIDs":    {func(p *corev1.Pod) { p.Spec.ShareProcessNamespace = ptr.To(true) }, ""},
		"default profile": {func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}}
		}, ""},
		"pod's profile": {func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{AppArmorProfile: localProfile("k8s-x")}
		}, `AppArmor Cannot enforce AppArmor: guests are not confined by profiles such as "k8s-x"`},
		"profile": {func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AppArmorProfile: localProfile("k8s-y")}
		}, `AppArmor Cannot enforce AppArmor: guests are not confined by profiles such as "k8s-y"`},
		"capabilities": {func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}}}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			tt.change(pod)
			got := ""
			if no := Pod(pod, node, nil, Used{}); no != nil {
				got = no.Reason + " " + no.Message
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
