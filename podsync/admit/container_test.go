package admit

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestContainer(t *testing.T) {
	nonRoot := func(user *int64) *corev1.SecurityContext {
		return &corev1.SecurityContext{RunAsNonRoot: ptr.To(true), RunAsUser: user}
	}
	for name, tt := range map[string]struct {
		pod   *corev1.PodSecurityContext
		own   *corev1.SecurityContext
		image string
		want  string // the beginning of the error, or empty for no error
	}{
		"nothing asked":            {image: "0"},
		"root may be":              {own: &corev1.SecurityContext{RunAsUser: ptr.To(int64(0))}},
		"not root":                 {own: nonRoot(ptr.To(int64(1000)))},
		"root, and not root":       {own: nonRoot(ptr.To(int64(0))), image: "1234", want: `container's runAsUser breaks non-root policy (pod: "p_ns(u1)", container: a)`},
		"image's user":             {own: nonRoot(nil), image: "1234"},
		"image's user and group":   {own: nonRoot(nil), image: "1234:0"},
		"image's user is root":     {own: nonRoot(nil), image: "0:7", want: "container has runAsNonRoot and image will run as root (pod: "},
		"image names no user":      {own: nonRoot(nil), want: "container has runAsNonRoot and image will run as root (pod: "},
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
			err := Container(pod, &pod.Spec.Containers[0], tt.image)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
