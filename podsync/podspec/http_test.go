package podspec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// withVolumes is a pod with a volume of each kind that matters here.
func withVolumes() *corev1.Pod {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}},
		{Name: "map", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		{Name: "mixed", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
		{Name: "empty", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	return pod
}

func TestHTTPOf(t *testing.T) {
	pod := withVolumes()
	if h, err := HTTPOf(pod); err != nil || cmp.Diff(HTTP{}, h) != "" || NamedVolumes(pod) != nil {
		t.Errorf("without annotations: %+v, %v", h, err)
	}
	pod.Annotations = map[string]string{
		"krustlet-wasi.dev/http-instances": "1024", "krustlet-wasi.dev/http-requests": "8", "krustlet-wasi.dev/http-reuse": "1",
		"krustlet-wasi.dev/http-queue": "65536", "krustlet-wasi.dev/http-queue-timeout": "1ms", "krustlet-wasi.dev/http-header-timeout": "2s",
		"krustlet-wasi.dev/http-idle-timeout": "3s", "krustlet-wasi.dev/http-first-byte-timeout": "1m30s", "krustlet-wasi.dev/http-timeout": "24h",
		"krustlet-wasi.dev/http-stall-timeout": "4s", "krustlet-wasi.dev/http-max-header": "32Ki", "krustlet-wasi.dev/http-max-body": "10Mi",
		"krustlet-wasi.dev/http-connections": "10", "krustlet-wasi.dev/http-access-log": "true", "krustlet-wasi.dev/http-mark-lines": "true",
		"krustlet-wasi.dev/http-tls": "secret", "krustlet-wasi.dev/config": "map, mixed", "krustlet-wasi.dev/listen": "true", "other/http-x": "y",
	}
	want := HTTP{
		Settings: runtime.HTTP{
			Instances: 1024, Requests: 8, Reuse: 1, Queue: 65536, QueueTimeout: time.Millisecond, HeaderTimeout: 2 * time.Second,
			IdleTimeout: 3 * time.Second, FirstByteTimeout: 90 * time.Second, Timeout: 24 * time.Hour, StallTimeout: 4 * time.Second,
			MaxHeader: 32 << 10, MaxBody: 10 << 20, Connections: 10, AccessLog: true, MarkLines: true,
		},
		Certificate: "secret", Config: []string{"map", "mixed"},
	}
	h, err := HTTPOf(pod)
	if diff := cmp.Diff(want, h); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if got := NamedVolumes(pod); !slices.Equal(got, []string{"map", "mixed", "secret"}) {
		t.Errorf("it names volumes %q", got)
	}
	if len(httpSettings) != 15 {
		t.Errorf("there are %d settings: this test must have all", len(httpSettings))
	}
}

// TestWrongHTTPAnnotations: the error says which annotation is wrong and what it must be, and does
// not have the value.
func TestWrongHTTPAnnotations(t *testing.T) {
	numbers := []string{"", "0", "-1", "+1", "1.5", "0x10", "1e3", "x", " 1", "99999999999", strings.Repeat("1", 1<<16)}
	durations := []string{"", "0", "10", "-1s", "25h", "999us", "1", "2562048h", "s"}
	for name, values := range map[string][]string{
		"http-instances": append(numbers, "1025"), "http-requests": append(numbers, "1001"), "http-reuse": append(numbers, "1000000001"),
		"http-queue": append(numbers, "65537"), "http-connections": append(numbers, "65537"),
		"http-queue-timeout": durations, "http-header-timeout": durations, "http-idle-timeout": durations,
		"http-first-byte-timeout": durations, "http-timeout": durations, "http-stall-timeout": durations,
		"http-max-header": {"", "1", "2Mi", "-1", "x", "1e999999999"}, "http-max-body": {"", "0", "2Ti", "-1", "10MB", "1e-9", "1.5Mi", "1e999999999", "9E", strings.Repeat("9", 1<<16)},
		"http-access-log": {"", "yes", "True", "1"}, "http-mark-lines": {"", "no"},
		"http-timout": {"30s"}, "http-": {"x"},
		"http-tls": {"", "map", "empty", "missing", "../x", "secret,mixed"}, "config": {"", "empty", "missing", "map,", "map,,mixed", "map;mixed", "/etc"},
	} {
		for _, value := range values {
			pod := withVolumes()
			annotation := "krustlet-wasi.dev/" + name
			pod.Annotations = map[string]string{annotation: value}
			_, err := HTTPOf(pod)
			if err == nil || !strings.HasPrefix(err.Error(), "reading annotation "+annotation+": ") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
				t.Errorf("%s: %.40q: %v", name, value, err)
			}
		}
	}
	pod := withVolumes()
	pod.Annotations = map[string]string{"krustlet-wasi.dev/http-timeout": "hunter2"}
	if _, err := HTTPOf(pod); fmt.Sprint(err) != "reading annotation krustlet-wasi.dev/http-timeout: it must be a duration from 1ms to 24h, such as 30s" {
		t.Error(err)
	}
	pod.Annotations = map[string]string{"krustlet-wasi.dev/config": strings.Repeat("map,", 40) + "map"}
	if _, err := HTTPOf(pod); err == nil || !strings.HasSuffix(err.Error(), "it must have at most 32 names") {
		t.Error(err)
	}
}
