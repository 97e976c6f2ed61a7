package admit

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Pod says why the node cannot take a pod in addition to others, or nil. The scheduler has checked
// the same, but another client may have bound the pod, or several schedulers may be at work. node
// may be nil: then its labels and taints are unknown.
func Pod(pod *corev1.Pod, node *corev1.Node, allocatable corev1.ResourceList, used Used) *life.Refusal {
	if no := cmp.Or(refuseSysctls(pod), refuseOS(pod, node), refuseGroupsPolicy(pod)); no != nil {
		return no
	}
	if no := cmp.Or(refuseResources(pod, allocatable, used.Resources), refuseAffinity(pod, node), refusePorts(pod, used.Ports), refuseTaints(pod, node)); no != nil {
		return no
	}
	return refuseKernel(pod)
}

// Resize says why the node has no room for a pod with its new resources, or nil. used is what the
// other pods have of the node.
func Resize(pod *corev1.Pod, allocatable corev1.ResourceList, used Used) *life.Refusal {
	requests := podspec.Requests(pod)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if _, limited := allocatable[name]; !limited {
			continue
		}
		if r, c := podspec.Amount(requests, name), podspec.Amount(allocatable, name); r > c {
			return &life.Refusal{Reason: corev1.PodReasonInfeasible, Message: fmt.Sprintf("Node didn't have enough capacity: %s, requested: %d, capacity: %d", name, r, c)}
		}
	}
	if no := refuseResources(pod, allocatable, used.Resources); no != nil {
		return &life.Refusal{Reason: corev1.PodReasonDeferred, Message: no.Message}
	}
	return nil
}

func mismatch(name, what string) *life.Refusal {
	return &life.Refusal{Reason: name, Message: fmt.Sprintf("Predicate %s failed: %s", name, what)}
}

// refuseOS refuses a pod for another operating system. A node of WebAssembly counts as Linux.
func refuseOS(pod *corev1.Pod, node *corev1.Node) *life.Refusal {
	label, labelled := pod.Labels[corev1.LabelOSStable]
	if labelled && label != string(corev1.Linux) && (node == nil || label != node.Labels[corev1.LabelOSStable]) {
		return &life.Refusal{Reason: "PodOSSelectorNodeLabelDoesNotMatch", Message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"}
	}
	if os := pod.Spec.OS; os != nil && os.Name != corev1.Linux {
		return &life.Refusal{Reason: "PodOSNotSupported", Message: "Failed to admit pod as the OS field doesn't match node OS"}
	}
	return nil
}

func refuseResources(pod *corev1.Pod, allocatable, used corev1.ResourceList) *life.Refusal {
	requests := podspec.Requests(pod)
	for _, name := range []corev1.ResourceName{corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if _, limited := allocatable[name]; !limited {
			continue
		}
		if r, u, c := podspec.Amount(requests, name), podspec.Amount(used, name), podspec.Amount(allocatable, name); r > 0 && r > c-u {
			return &life.Refusal{Reason: "OutOf" + string(name), Message: fmt.Sprintf(
				"Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d", name, r, u, c)}
		}
	}
	return nil
}

// refuseAffinity refuses a pod that does not want to be on the node.
func refuseAffinity(pod *corev1.Pod, node *corev1.Node) *life.Refusal {
	if node == nil {
		return nil
	}
	if fits, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); !fits || err != nil {
		return mismatch("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
	}
	return nil
}

// refuseTaints refuses a pod that does not tolerate a taint of the node.
func refuseTaints(pod *corev1.Pod, node *corev1.Node) *life.Refusal {
	if node == nil {
		return nil
	}
	noExecute := func(t *corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute }
	if _, is := scheduling.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, pod.Spec.Tolerations, noExecute, true); is {
		return mismatch("TaintToleration", "node(s) had taints that the pod didn't tolerate")
	}
	return nil
}

// UnderPressure says why a node with these conditions does not take a pod, or nil. If the node is
// short only of memory, it still takes pods of other classes than BestEffort, and pods that
// tolerate the shortage.
func UnderPressure(pod *corev1.Pod, conditions []corev1.NodeConditionType) *life.Refusal {
	if len(conditions) == 0 || Critical(pod) {
		return nil
	}
	if slices.Equal(conditions, []corev1.NodeConditionType{corev1.NodeMemoryPressure}) {
		taint := &corev1.Taint{Key: corev1.TaintNodeMemoryPressure, Effect: corev1.TaintEffectNoSchedule}
		if pod.Status.QOSClass != corev1.PodQOSBestEffort || scheduling.TolerationsTolerateTaint(klog.Background(), pod.Spec.Tolerations, taint, true) {
			return nil
		}
	}
	return &life.Refusal{Reason: life.ReasonEvicted, Message: fmt.Sprintf("The node had condition: %v. ", conditions)}
}

// systemCritical is the lowest priority of pods that the cluster itself needs.
const systemCritical = 2_000_000_000

// Critical reports whether the cluster itself needs a pod.
func Critical(pod *corev1.Pod) bool {
	return pod.Spec.Priority != nil && *pod.Spec.Priority >= systemCritical
}
