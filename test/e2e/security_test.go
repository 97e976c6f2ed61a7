package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestSecurity: which parts of a pod's security context apply to guests, and which are refused.
func TestSecurity(t *testing.T) {
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	yes, no, root, user := true, false, int64(0), int64(1000)
	t.Run("Refused", func(t *testing.T) {
		for name, tt := range map[string]struct {
			change          func(*corev1.PodSpec)
			reason, message string
		}{
			"host-pid": {func(p *corev1.PodSpec) { p.HostPID = true }, "PodFeatureUnsupported", "Pod requires node features that are not available: hostPID"},
			"sysctl": {func(p *corev1.PodSpec) {
				p.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel.msgmax", Value: "65536"}}}
			}, "SysctlForbidden", `forbidden sysctl: "kernel.msgmax" not allowlisted`},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				pod := s.pod(name, s.tiny)
				tt.change(&pod.Spec)
				pod = s.create(t, ns, pod)
				now := s.awaitPhase(t, ns, name, corev1.PodFailed)
				if now.Status.Reason != tt.reason || now.Status.Message != "Pod was rejected: "+tt.message {
					t.Errorf("reason %q, message %q", now.Status.Reason, now.Status.Message)
				}
				s.awaitEvents(t, pod, tt.reason+" "+tt.message)
			})
		}
	})
	t.Run("Waiting", func(t *testing.T) {
		for name, tt := range map[string]struct {
			own     corev1.SecurityContext
			message string
		}{
			"root":       {corev1.SecurityContext{RunAsNonRoot: &yes, RunAsUser: &root}, "container's runAsUser breaks non-root policy"},
			"root-image": {corev1.SecurityContext{RunAsNonRoot: &yes}, "container has runAsNonRoot and image will run as root"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				pod := s.pod(name, s.tiny)
				pod.Spec.Containers[0].SecurityContext = &tt.own
				pod = s.create(t, ns, pod)
				s.await(t, ns, name, func(p *corev1.Pod) error {
					c := p.Status.ContainerStatuses
					if p.Status.Phase != corev1.PodPending || len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "CreateContainerConfigError" ||
						!strings.HasPrefix(c[0].State.Waiting.Message, tt.message) {
						return fmt.Errorf("does not wait for %q", tt.message)
					}
					return nil
				})
				s.awaitEvents(t, pod, "Failed Error: "+tt.message)
			})
		}
	})
	// docs/security.md: "the Pod Security Standard `baseline` forbids them."
	t.Run("Baseline", func(t *testing.T) {
		ns := s.cluster.Namespace(t)
		s.cluster.Kubectl(t, "label", "namespace", ns, "pod-security.kubernetes.io/enforce=baseline")
		testnode.Eventually(t, func() error { // the admission sees the label a moment later
			pod := s.pod("host-port", s.tiny)
			pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: 8080}}
			_, err := s.client().CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "hostPort") {
				return fmt.Errorf("a pod with a port of the node: %w", err)
			}
			return nil
		})
	})
	t.Run("OwnUsers", func(t *testing.T) {
		t.Parallel()
		pod := s.pod("own-users", s.tiny)
		pod.Spec.HostUsers = &no
		s.awaitEvents(t, s.create(t, ns, pod), "FailedCreatePodSandBox Failed to create pod sandbox: can't set `spec.hostUsers: false`")
	})
	t.Run("ImageUser", func(t *testing.T) {
		t.Parallel()
		ref, err := name.ParseReference(s.images.Host+"/user:v1", name.Insecure)
		if err == nil {
			err = remote.Write(ref, guests.Image(t, v1.Config{Entrypoint: []string{"/app.wasm"}, User: "1234"}, map[string][]byte{"app.wasm": guests.Tiny(t)}))
		}
		if err != nil {
			t.Fatal(err)
		}
		pod := s.pod("image-user", ref.String())
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
		s.create(t, ns, pod)
		s.awaitPhase(t, ns, "image-user", corev1.PodRunning)
	})
	t.Run("Running", func(t *testing.T) {
		t.Parallel()
		pod := s.pod("runs", s.tiny)
		pod.Spec.ShareProcessNamespace = &yes
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, SupplementalGroups: []int64{7},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			Sysctls:        []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
		}
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		s.create(t, ns, pod)
		s.awaitPhase(t, ns, "runs", corev1.PodRunning)
	})
}
