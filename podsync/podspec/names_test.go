package podspec

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestHostname(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Name = strings.Repeat("x", 61) + "-.long"
	if got := Hostname(pod); got != strings.Repeat("x", 61) {
		t.Errorf("%q", got)
	}
	pod.Spec.Hostname = "named"
	if got := Hostname(pod); got != "named" {
		t.Errorf("%q", got)
	}
}
