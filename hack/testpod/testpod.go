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

// NodeAddress is the address of the node on which these pods run.
var NodeAddress = netip.MustParseAddr("127.0.0.9")

// Epoch is when the clock of a test that counts seconds begins.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// New is a pod with these containers. Containers whose names begin with "init" are init containers.
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

// Deleted is a pod that was deleted at Epoch. grace is its grace period in seconds.
func Deleted(pod *corev1.Pod, grace int64) *corev1.Pod {
	pod = pod.DeepCopy()
	now := metav1.NewTime(Epoch)
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, &grace
	return pod
}

// Size is a size of n hundredths of a processor and n MiB of memory.
func Size(n int64) corev1.ResourceRequirements {
	list := corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewMilliQuantity(10*n, resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(n<<20, resource.BinarySI),
	}
	return corev1.ResourceRequirements{Requests: list, Limits: list.DeepCopy()}
}

// WithSize is the next generation of a pod, in which one container has another size.
func WithSize(pod *corev1.Pod, container string, n int64) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Generation++
	find(pod, container).Resources = Size(n)
	return pod
}

// Requesting sets the requests of a pod's first container, and returns the pod.
func Requesting(pod *corev1.Pod, cpu, memory string) *corev1.Pod {
	pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}
	return pod
}

// SmallNode is what a node with two processors offers to pods. pods is the largest number of pods.
func SmallNode(pods int64) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi"),
		corev1.ResourcePods: *resource.NewQuantity(pods, resource.DecimalSI),
	}
}

// WithImage is the pod with another image for one of its containers.
func WithImage(pod *corev1.Pod, container, image string) *corev1.Pod {
	pod = pod.DeepCopy()
	find(pod, container).Image = image
	return pod
}

// WithDebugger is the pod with one more container, which is ephemeral.
func WithDebugger(pod *corev1.Pod, name string) *corev1.Pod {
	pod = pod.DeepCopy()
	e := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "debugger:v1"}}
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, e)
	return pod
}

// AsksTCP is a probe with these numbers. The API server would fill in the other fields.
func AsksTCP(delay, period, failures, successes int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:        corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{}},
		InitialDelaySeconds: delay, PeriodSeconds: period, FailureThreshold: failures, SuccessThreshold: successes,
	}
}

// IsRunning is the status of container a while the run with this ID goes on. before is how the
// previous run ended.
func IsRunning(id string, attempt int32, before ...*corev1.ContainerStateTerminated) *corev1.ContainerStatus {
	status := &corev1.ContainerStatus{
		Name: "a", ContainerID: "wasmtime://" + id, ImageID: "image-" + id, RestartCount: attempt,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(Epoch.Add(-time.Second))}},
	}
	for _, exit := range before {
		status.LastTerminationState.Terminated = exit
	}
	return status
}

// ExitOf is the exit of a run.
func ExitOf(id string, code int32) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", ContainerID: "wasmtime://" + id}
}

// IsTerminated is the status of container a after the run with this ID.
func IsTerminated(id string, attempt, code int32) *corev1.ContainerStatus {
	return &corev1.ContainerStatus{
		Name: "a", ContainerID: "wasmtime://" + id, RestartCount: attempt,
		State: corev1.ContainerState{Terminated: ExitOf(id, code)},
	}
}

// find returns a container of a pod.
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
