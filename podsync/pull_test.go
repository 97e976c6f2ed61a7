package podsync

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// unfit is a fake store that cannot unpack the images on disk. It can unpack images after it has
// pulled them.
type unfit struct{ images }

func (*unfit) Lookup(context.Context, string, registry.Keys) (registry.Module, bool, error) {
	return registry.Module{}, false, errors.New("unpacking the image: layer 1 of 1: broken")
}

// TestImageOnDiskIsUnfit: an image on disk that cannot be unpacked counts as one that cannot be
// pulled. If the policy is to pull always, the image is pulled.
func TestImageOnDiskIsUnfit(t *testing.T) {
	for policy, runs := range map[corev1.PullPolicy]bool{corev1.PullAlways: true, corev1.PullIfNotPresent: false, corev1.PullNever: false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.Spec.Containers[0].ImagePullPolicy = policy
			s := prepareShell(t, pod, &engine{}, &images{}, false)
			s.settings.Images = &unfit{}
			s.launch(ctx)
			for after, reason := range []string{"ErrImagePull", "ImagePullBackOff"} {
				pass(time.Second + time.Duration(after)*5*time.Second)
				pod, _ := s.object()
				state := pod.Status.ContainerStatuses[0].State
				if w := state.Waiting; runs && state.Running == nil || !runs && (w == nil || w.Reason != reason || !strings.Contains(w.Message, "layer 1 of 1: broken")) {
					t.Errorf("%s: %+v, want %s", policy, state, reason)
				}
			}
			cancel()
			<-s.ended
		})
	}
}
