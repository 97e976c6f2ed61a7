package podsync

import (
	"strings"
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

// TestRefuseWhatGuestsCannotHave: a pod that asks the kernel for something that guests cannot be
// given is refused; what they have anyway, or have no use for, is no reason.
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
			if no := refuse(pod, node, nil, taken{}); no != nil {
				got = no.Reason + " " + no.Message
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckSecurity(t *testing.T) {
	nonRoot := func(user *int64) *corev1.SecurityContext {
		return &corev1.SecurityContext{RunAsNonRoot: ptr.To(true), RunAsUser: user}
	}
	for name, tt := range map[string]struct {
		pod   *corev1.PodSecurityContext
		own   *corev1.SecurityContext
		image string
		want  string // empty: nothing; else what the error begins with
	}{
		"nothing asked":            {image: "0"},
		"root may be":              {own: &corev1.SecurityContext{RunAsUser: ptr.To(int64(0))}},
		"not root":                 {own: nonRoot(ptr.To(int64(1000)))},
		"root, and not root":       {own: nonRoot(ptr.To(int64(0))), image: "1234", want: `container's runAsUser breaks non-root policy (pod: "p_ns(u1)", container: a)`},
		"image's user":             {own: nonRoot(nil), image: "1234"},
		"image's user and group":   {own: nonRoot(nil), image: "1234:0"},
		"image's user is root":     {own: nonRoot(nil), image: "0:7", want: "container has runAsNonRoot and image will run as root (pod: "},
		"image names nobody":       {own: nonRoot(nil), want: "container has runAsNonRoot and image will run as root (pod: "},
		"image has a name":         {own: nonRoot(nil), image: "web", want: "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root (pod: "},
		"pod's rule":               {pod: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true)}, want: "container has runAsNonRoot and image will run as root"},
		"pod's rule, pod's user":   {pod: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(5))}},
		"pod's rule, own user":     {pod: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(5))}, own: &corev1.SecurityContext{RunAsUser: ptr.To(int64(0))}, want: "container's runAsUser breaks non-root policy"},
		"the container knows more": {pod: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true)}, own: &corev1.SecurityContext{RunAsNonRoot: ptr.To(false)}},
		"privileged, to no avail":  {own: &corev1.SecurityContext{Privileged: ptr.To(true)}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext = tt.pod, tt.own
			err := checkSecurity(pod, &pod.Spec.Containers[0], tt.image)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
