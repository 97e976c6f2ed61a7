package events

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestSizesInEvents(t *testing.T) {
	pod := testpod.WithSize(testpod.New(corev1.RestartPolicyAlways, "init1", "a"), "a", 20)
	pod.Generation = 7
	e := ResizePending(pod, corev1.PodReasonDeferred, "full")
	text, ok := strings.CutPrefix(e.Message, "Pod resize Deferred: ")
	if e.Reason != "ResizeDeferred" || !ok || !json.Valid([]byte(text)) {
		t.Fatalf("%s %s", e.Reason, e.Message)
	}
	const want = `{"initContainers":[{"name":"init1"}],"containers":[{"name":"a","resources":{"limits":{"cpu":"200m","memory":"20Mi"},` +
		`"requests":{"cpu":"200m","memory":"20Mi"}}}],"generation":7,"error":"full"}`
	if text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
}
