package admit

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestRefusePorts(t *testing.T) {
	port := func(n int32, ip string, protocol corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{HostPort: n, HostIP: ip, Protocol: protocol}
	}
	for name, tt := range map[string]struct {
		has, wants corev1.ContainerPort
		free       bool
	}{
		"the same":        {port(80, "", ""), port(80, "", corev1.ProtocolTCP), false},
		"another":         {port(80, "", ""), port(81, "", ""), true},
		"none":            {port(0, "", ""), port(0, "", ""), true},
		"protocol":        {port(80, "", ""), port(80, "", corev1.ProtocolUDP), true},
		"all and one":     {port(80, "0.0.0.0", ""), port(80, "192.0.2.1", ""), false},
		"one and all":     {port(80, "192.0.2.1", ""), port(80, "", ""), false},
		"one and another": {port(80, "192.0.2.1", ""), port(80, "192.0.2.2", ""), true},
	} {
		t.Run(name, func(t *testing.T) {
			other, pod := testpod.New(corev1.RestartPolicyAlways, "init", "a"), testpod.New(corev1.RestartPolicyAlways, "b")
			other.Spec.InitContainers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
			other.Spec.InitContainers[0].Ports = []corev1.ContainerPort{tt.has}
			pod.Spec.Containers[0].Ports = []corev1.ContainerPort{tt.wants}
			var used Used
			used.Add(nil, other)
			no := Pod(pod, nil, nil, used)
			if (no == nil) != tt.free || no != nil && no.Reason+": "+no.Message != "NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports" {
				t.Errorf("%+v", no)
			}
		})
	}
}
