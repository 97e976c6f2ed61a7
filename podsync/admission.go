package podsync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

func mismatch(name, what string) *life.Refusal {
	return &life.Refusal{Reason: name, Message: fmt.Sprintf("Predicate %s failed: %s", name, what)}
}

// refuse says whether the node can take a pod beside others. The scheduler has asked the same,
// but others may have bound the pod, or more than one scheduler may be at work. node may be nil:
// then its labels and taints are not known.
func refuse(pod *corev1.Pod, node *corev1.Node, allocatable corev1.ResourceList, used taken) *life.Refusal {
	if no := cmp.Or(refuseSysctls(pod), refuseOS(pod, node), refuseGroupsPolicy(pod)); no != nil {
		return no
	}
	if no := cmp.Or(refuseResources(pod, allocatable, used.resources), refuseAffinity(pod, node), refusePorts(pod, used.ports), refuseTaints(pod, node)); no != nil {
		return no
	}
	return refuseKernel(pod)
}

// refuseOS says whether a pod is for another operating system than the one that a node of
// WebAssembly counts as.
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

// refuseAffinity says whether a pod does not want to be on the node.
func refuseAffinity(pod *corev1.Pod, node *corev1.Node) *life.Refusal {
	if node == nil {
		return nil
	}
	if fits, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); !fits || err != nil {
		return mismatch("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
	}
	return nil
}

// refuseTaints says whether the node does not want a pod.
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

// refusePressure says whether a node under pressure does not take a pod. One that is short of
// memory alone takes those that say how much of it they need, or that they do not mind.
func refusePressure(pod *corev1.Pod, conditions []corev1.NodeConditionType) *life.Refusal {
	if len(conditions) == 0 || critical(pod) {
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

// systemCritical is the lowest priority of those pods that the cluster itself needs.
const systemCritical = 2_000_000_000

func critical(pod *corev1.Pod) bool {
	return pod.Spec.Priority != nil && *pod.Spec.Priority >= systemCritical
}

// nodeKept is how old the Node may be by which pods are judged; it is read again before one is
// refused.
const nodeKept = 10 * time.Second

const nodePatience = 5 * time.Second

// admissions judges one pod after the other.
type admissions struct {
	mu   sync.Mutex
	node *corev1.Node // nil: it is not there
	read time.Time
}

// admit says why the node cannot take a pod, or nothing. A pod that was taken is counted until it
// has ended.
func (m *Manager) admit(ctx context.Context, w *podActions, pod *corev1.Pod) (*life.Refusal, error) {
	select {
	case <-m.synced: // the pods from before come first
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m.admissions.mu.Lock()
	defer m.admissions.mu.Unlock()
	if w.admitted.Load() {
		return nil, nil
	}
	if no := refusePressure(pod, m.conditions()); no != nil {
		return no, nil
	}
	if err := m.readNode(ctx, nodeKept); err != nil {
		return nil, err
	}
	no := refuse(pod, m.admissions.node, m.Allocatable, m.used())
	if no != nil {
		if err := m.readNode(ctx, 0); err != nil {
			return nil, err
		}
		no = refuse(pod, m.admissions.node, m.Allocatable, m.used())
	}
	w.admitted.Store(no == nil)
	return no, nil
}

// readNode reads the Node unless it was read within age. While it cannot be read, what is known of
// it counts.
func (m *Manager) readNode(ctx context.Context, age time.Duration) error {
	a := &m.admissions
	if !a.read.IsZero() && time.Since(a.read) < age {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	node, err := m.Client.CoreV1().Nodes().Get(ctx, m.NodeName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		node = nil
	case err != nil && a.read.IsZero():
		return fmt.Errorf("reading the node: %w", err)
	case err != nil:
		return nil
	}
	a.node, a.read = node, time.Now()
	return nil
}

// nodeWithin is the Node as it was within age, or nil if it is not there. It must not be changed.
func (m *Manager) nodeWithin(ctx context.Context, age time.Duration) (*corev1.Node, error) {
	m.admissions.mu.Lock()
	defer m.admissions.mu.Unlock()
	err := m.readNode(ctx, age)
	return m.admissions.node, err
}

// nodeLabels are the labels of the Node, as they were not long ago.
func (m *Manager) nodeLabels(ctx context.Context) (map[string]string, error) {
	node, err := m.nodeWithin(ctx, nodeKept)
	if err != nil || node == nil {
		return nil, err
	}
	return node.Labels, nil
}

// used is what the pods take that were admitted and have not ended.
func (m *Manager) used() taken { return m.usedBeside(nil) }

// usedBeside is used, without one pod.
func (m *Manager) usedBeside(one *podActions) taken {
	m.mu.Lock()
	defer m.mu.Unlock()
	var used taken
	for _, w := range m.loops {
		pod := w.view.Load().pod
		if w.podActions == one || !w.admitted.Load() || podspec.Terminal(pod.Status.Phase) {
			continue
		}
		used.add(w.requests, pod)
	}
	return used
}
