package podsync

import (
	"context"
	"fmt"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/admit"
	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// weigh asks whether the node has room, and records an event if the answer is new.
func (w *podActions) weigh(a life.Weigh) life.Weighed {
	no := w.node.makeRoom(w, a.Pod)
	switch {
	case no == nil:
		w.log.Info("the pod is resized", zap.Int64("generation", a.Pod.Generation))
		w.record(a.Pod, nil, events.ResizeStarted(a.Pod))
	case !a.Before.Is(no, a.Pod):
		w.log.Warn("the pod cannot be resized", zap.String("reason", no.Reason), zap.String("why", no.Message))
		w.record(a.Pod, nil, events.ResizePending(a.Pod, no.Reason, no.Message))
	}
	return life.Weighed{Pod: a.Pod, No: no}
}

// makeRoom counts a pod with its new resources, if the node has room for them beside the other
// pods. Otherwise it returns why not.
func (m *Manager) makeRoom(w *podActions, pod *corev1.Pod) *life.Refusal {
	m.judging.Lock()
	defer m.judging.Unlock()
	if no := admit.Resize(pod, m.Allocatable, m.loops.used(w)); no != nil {
		return no
	}
	m.loops.count(w, podspec.Requests(pod))
	return nil
}

// resize gives a guest the limits of its container.
func (w *podActions) resize(ctx context.Context, pod *corev1.Pod, process runtime.Guest, a life.Resize) life.Resized {
	err := w.giveLimits(ctx, pod, process, a)
	if err != nil && ctx.Err() == nil && err.Error() != a.Failed {
		w.log.Warn("the container cannot be resized", zap.String("container", a.Container.Name), zap.Error(err))
		w.record(pod, nil, events.ResizeFailed(pod, err))
	}
	return life.Resized{Container: a.Container.Name, ID: a.ID, To: a.Container.Resources, Err: err}
}

func (w *podActions) giveLimits(ctx context.Context, pod *corev1.Pod, process runtime.Guest, a life.Resize) error {
	was, limits := limitsOf(pod, a.From), limitsOf(pod, a.Container.Resources)
	if limits.Memory > 0 && (was.Memory == 0 || limits.Memory < was.Memory) {
		if used := process.Stats().Memory; used >= limits.Memory {
			return fmt.Errorf("attempting to set container %q memory limit (%d) below current usage (%d)", a.Container.Name, limits.Memory, used)
		}
	}
	if limits == was {
		return nil // only the requests differ
	}
	if err := process.Resize(ctx, limits); err != nil {
		return err
	}
	spec, err := w.dirs.Spec(a.Container.Name, a.ID)
	if err != nil {
		return err
	}
	spec.MemoryLimit, spec.CPULimit = limits.Memory, limits.CPU
	return w.dirs.KeepSpec(a.Container.Name, spec) // so that commands beside the run get the same limits
}
