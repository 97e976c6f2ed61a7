package podsync

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

func TestRunning(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "runs", "ended", "waits", "new")
	pod.Labels = map[string]string{"a": "b"}
	pod.Spec.InitContainers = []corev1.Container{{Name: "side", Image: "example.test/side"}}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "example.test/debug"}}}
	open := make(chan struct{})
	v := &view{pod: pod, runs: map[string]containerRuns{
		"runs": {attempt: 2, done: open}, "side": {done: open}, "debug": {done: open},
		"ended": {attempt: 1, done: closedChannel}, "waits": {attempt: -1, done: open},
	}}
	got := v.running()
	var names []string
	for _, c := range got.Spec.Containers {
		names = append(names, c.Name)
		if c.Image == "" || c.Image != podspec.Container(pod, c.Name).Image {
			t.Errorf("%s has the image %q", c.Name, c.Image)
		}
	}
	if diff := cmp.Diff([]string{"side", "runs", "debug"}, names); diff != "" || got.UID != pod.UID || got.Name != pod.Name || got.Labels != nil {
		t.Errorf("containers of %v (-want +got):\n%s", got.ObjectMeta, diff)
	}
}
