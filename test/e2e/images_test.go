package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

func tinyModule(t *testing.T) []byte { return guests.Tiny(t) }

func resourceQuantity(s string) resource.Quantity { return resource.MustParse(s) }

// testImageErrors: for each cause why the node cannot get an image, the pod shows a reason and a
// message.
func testImageErrors(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	away := testnode.NewRegistry(t)
	away.Close()
	linux := s.images.Host + "/linux:v1"
	pushLinux(t, linux)
	for _, tt := range []struct {
		pod, image string
		policy     corev1.PullPolicy
		reasons    []string
		message    string
		event      string
	}{
		{"missing", s.images.Host + "/missing:v1", corev1.PullIfNotPresent, []string{"ErrImagePull", "ImagePullBackOff"}, "missing:v1", "Failed Failed to pull image "},
		{"linux", linux, corev1.PullIfNotPresent, []string{"ErrImagePull", "ImagePullBackOff"}, "found a container image", "Failed Failed to pull image "},
		{"away", away.Host + "/tiny:v1", corev1.PullAlways, []string{"ErrImagePull", "ImagePullBackOff"}, "refused", "Failed Failed to pull image "},
		{"never", s.images.Host + "/never:v1", corev1.PullNever, []string{"ErrImageNeverPull", "ImagePullBackOff"}, "is not present with pull policy of Never", "ErrImageNeverPull Container image "},
		{"invalid", "UPPER//case:v1", corev1.PullIfNotPresent, []string{"InvalidImageName", "ImagePullBackOff"}, "UPPER//case", "Failed Error: InvalidImageName"},
	} {
		pod := s.pod(tt.pod, tt.image)
		pod.Spec.Containers[0].ImagePullPolicy = tt.policy
		pod = s.create(t, ns, pod)
		for _, reason := range tt.reasons {
			s.await(t, ns, tt.pod, func(p *corev1.Pod) error {
				c := p.Status.ContainerStatuses
				if len(c) != 1 || c[0].State.Waiting == nil {
					return errors.New("not waiting")
				}
				got := c[0].State.Waiting
				if got.Reason != reason && got.Reason != tt.reasons[len(tt.reasons)-1] || !strings.Contains(got.Message, tt.message) {
					return fmt.Errorf("waits for %s: %s", got.Reason, got.Message)
				}
				return nil
			})
		}
		s.awaitEvents(t, pod, tt.event)
	}
	// Now the image exists, and the pod runs at the next try.
	s.images.Push(t, "missing:v1", tinyModule(t))
	s.awaitPhase(t, ns, "missing", corev1.PodRunning)
}

// pushLinux publishes an image of tar layers, like one for a Linux container.
func pushLinux(t *testing.T, ref string) {
	t.Helper()
	image, err := random.Image(1024, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
}
