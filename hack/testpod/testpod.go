// Package testpod makes pods for tests that need no cluster.
package testpod

import (
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodeAddress is the address of the node on which these pods are.
var NodeAddress = netip.MustParseAddr("127.0.0.9")

// Epoch is when the clock of a test begins that counts seconds.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// New is a pod with the containers named. Init containers are those whose names begin with "init".
func New(policy corev1.RestartPolicy, names ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u1", ResourceVersion: "1", Generation: 1},
		Spec:       corev1.PodSpec{RestartPolicy: policy},
	}
	for _, name := range names {
		c := corev1.Container{Name: name, Image: "registry.test/" + name + ":v1", ImagePullPolicy: corev1.PullIfNotPresent}
		if strings.HasPrefix(name, "init") {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
		} else {
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		}
	}
	return pod
}

// Deleted is a pod that was deleted at Epoch, with a grace period in seconds.
func Deleted(pod *corev1.Pod, grace int64) *corev1.Pod {
	pod = pod.DeepCopy()
	now := metav1.NewTime(Epoch)
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, &grace
	return pod
}

// Size is a size of n hundredths of a processor, and as many mebibytes.
func Size(n int64) corev1.ResourceRequirements {
	list := corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewMilliQuantity(10*n, resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(n<<20, resource.BinarySI),
	}
	return corev1.ResourceRequirements{Requests: list, Limits: list.DeepCopy()}
}

// WithSize is the next generation of a pod, in which a container has another size.
func WithSize(pod *corev1.Pod, container string, n int64) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Generation++
	find(pod, container).Resources = Size(n)
	return pod
}

// WithImage is the pod with another image for one of its containers.
func WithImage(pod *corev1.Pod, container, image string) *corev1.Pod {
	pod = pod.DeepCopy()
	find(pod, container).Image = image
	return pod
}

// WithDebugger is the pod with an ephemeral container more.
func WithDebugger(pod *corev1.Pod, name string) *corev1.Pod {
	pod = pod.DeepCopy()
	e := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "debugger:v1"}}
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, e)
	return pod
}

// find is a container of a pod.
func find(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	panic("the pod has no container " + name)
}
