package podspec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestEgressOf(t *testing.T) {
	volumes := []corev1.Volume{
		{Name: "map", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	for name, tt := range map[string]struct {
		annotations map[string]string
		want        Egress
		err         string
	}{
		"none":     {nil, Egress{}, ""},
		"nowhere":  {map[string]string{"egress": ""}, Egress{Given: true}, ""},
		"a list":   {map[string]string{"egress": "a.example, cluster", "egress-audit": "true"}, Egress{Given: true, List: "a.example, cluster", Audit: true}, ""},
		"no audit": {map[string]string{"egress-audit": "false"}, Egress{}, ""},
		"roots":    {map[string]string{"egress-roots": "map, secret"}, Egress{Roots: []string{"map", "secret"}}, ""},
		"Krustlet's domains": {map[string]string{"alpha.wasi.krustlet.dev/allowed-domains": `["https://a.example"]`, "alpha.wasi.krustlet.dev/max-concurrent-requests": "3"},
			Egress{Given: true, List: "a.example", MaxRequests: 3}, ""},
		"both": {map[string]string{"egress": "cluster", "alpha.wasi.krustlet.dev/allowed-domains": `["https://a.example"]`},
			Egress{Given: true, List: "cluster,a.example"}, ""},
		"wrong domains":           {map[string]string{"alpha.wasi.krustlet.dev/allowed-domains": "secret-value"}, Egress{}, "allowed-domains"},
		"another audit":           {map[string]string{"egress-audit": "yes-secret-value"}, Egress{}, `egress-audit: it must be "true" or "false"`},
		"roots that guests write": {map[string]string{"egress-roots": "scratch"}, Egress{}, `volume "scratch" is of another kind`},
		"no such volume":          {map[string]string{"egress-roots": "map,gone"}, Egress{}, `the pod has no volume "gone"`},
		"no name":                 {map[string]string{"egress-roots": "map,../x"}, Egress{}, "no volume can have such a name"},
		"too many":                {map[string]string{"egress-roots": strings.Repeat("map,", 8) + "map"}, Egress{}, "at most 8"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.Annotations, pod.Spec.Volumes = map[string]string{}, volumes
			for key, value := range tt.annotations {
				if !strings.Contains(key, "/") {
					key = "krustlet-wasi.dev/" + key
				}
				pod.Annotations[key] = value
			}
			got, err := EgressOf(pod)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && (!strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret-value")) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestNamedPorts(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
	pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}, {ContainerPort: 53, Protocol: corev1.ProtocolUDP}, {ContainerPort: 9, Protocol: corev1.ProtocolSCTP}}
	pod.Spec.Containers[1].Ports = []corev1.ContainerPort{{ContainerPort: 443, Protocol: corev1.ProtocolTCP}}
	want := []runtime.Port{{Number: 80}, {Protocol: runtime.UDP, Number: 53}, {Number: 443}}
	if diff := cmp.Diff(want, NamedPorts(pod)); diff != "" {
		t.Error(diff)
	}
}
