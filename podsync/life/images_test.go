package life

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// TestUnsetWithImagesIsPulledAgain: if a volume shows an image, the cause may be in that image, and
// the registry may have another one by now.
func TestUnsetWithImagesIsPulledAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	for shown, want := range map[bool]step{true: pulling, false: starting} {
		s := newPod(testpod.New(corev1.RestartPolicyAlways, "a"), now)
		c := s.find("a")
		c.image.others = shown
		s.Apply(Started{Container: "a", Reason: "CreateContainerError", Err: context.DeadlineExceeded}, now)
		d := decision{Pod: s, now: now.Add(unsetRetry)}
		d.advance(c)
		if c.step != want || c.waiting == nil {
			t.Errorf("with images %v: %s, %+v", shown, c.step, c.waiting)
		}
	}
}
