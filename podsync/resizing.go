package podsync

import (
	"context"
	"fmt"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// weigh asks the node for room, and records what comes of it if that is news.
func (w *worker) weigh(a weigh) weighed {
	no := w.node.makeRoom(w, a.pod)
	switch {
	case no == nil:
		w.log.Info("the pod is resized", zap.Int64("generation", a.pod.Generation))
		w.record(a.pod, nil, events.ResizeStarted(a.pod))
	case no.reason != a.before.reason || a.pod.Generation != a.before.generation:
		w.log.Warn("the pod cannot be resized", zap.String("reason", no.reason), zap.String("why", no.message))
		w.record(a.pod, nil, events.ResizePending(a.pod, no.reason, no.message))
	}
	return weighed{a.pod, no}
}

// makeRoom counts a pod with the resources that it is to have, if the node has room for it beside the others. It says why not.
func (m *Manager) makeRoom(w *worker, pod *corev1.Pod) *refusal {
	m.admissions.mu.Lock()
	defer m.admissions.mu.Unlock()
	requests := podspec.Requests(pod)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if _, limited := m.Allocatable[name]; !limited {
			continue
		}
		if r, c := podspec.Amount(requests, name), podspec.Amount(m.Allocatable, name); r > c {
			return &refusal{corev1.PodReasonInfeasible, fmt.Sprintf("Node didn't have enough capacity: %s, requested: %d, capacity: %d", name, r, c)}
		}
	}
	if no := refuseResources(pod, m.Allocatable, m.usedBeside(w).resources); no != nil {
		return &refusal{corev1.PodReasonDeferred, no.message}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w.requests = requests
	return nil
}

// resize gives a guest the limits of its container.
func (w *worker) resize(ctx context.Context, pod *corev1.Pod, process runtime.Process, a resize) resized {
	err := w.giveLimits(ctx, pod, process, a)
	if err != nil && ctx.Err() == nil && err.Error() != a.failed {
		w.log.Warn("the container cannot be resized", zap.String("container", a.container.Name), zap.Error(err))
		w.record(pod, nil, events.ResizeFailed(pod, err))
	}
	return resized{a.container.Name, a.id, a.container.Resources, err}
}

func (w *worker) giveLimits(ctx context.Context, pod *corev1.Pod, process runtime.Process, a resize) error {
	was, limits := limitsOf(pod, a.from), limitsOf(pod, a.container.Resources)
	if limits.Memory > 0 && (was.Memory == 0 || limits.Memory < was.Memory) {
		if used := process.Stats().Memory; used >= limits.Memory {
			return fmt.Errorf("attempting to set container %q memory limit (%d) below current usage (%d)", a.container.Name, limits.Memory, used)
		}
	}
	if limits == was {
		return nil // the requests are others
	}
	if err := process.Resize(ctx, limits); err != nil {
		return err
	}
	spec, err := w.dirs.spec(a.container.Name, a.id)
	if err != nil {
		return err
	}
	spec.MemoryLimit, spec.CPULimit = limits.Memory, limits.CPU
	return w.dirs.keepSpec(a.container.Name, spec) // for commands beside it
}
