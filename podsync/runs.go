package podsync

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// endedRun is a run that has ended and whose exit the engine still keeps: were this agent to end now, the next one
// would ask the engine for it.
type endedRun struct {
	id        string
	container string
	attempt   int32
	process   runtime.Process
}

// told says whether a pod's status has the exit of the run, or tells of a later run of the container: then this exit
// is of the past, and no status will have it any more.
func (r endedRun) told(pod *corev1.Pod) bool {
	status := podspec.StatusOf(pod, r.container)
	if status == nil {
		return false
	}
	if status.RestartCount > r.attempt {
		return true
	}
	for _, exit := range []*corev1.ContainerStateTerminated{status.State.Terminated, status.LastTerminationState.Terminated} {
		if exit != nil && podspec.RunID(exit.ContainerID) == r.id {
			return true
		}
	}
	return false
}

// ended says whether a run has ended.
func ended(process runtime.Process) bool { return closed(process.Done()) }

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// discard stops runs, and forgets each once it has ended. It gives up, and returns false, when stopping is closed.
func discard(strays []runtime.Process, stopping <-chan struct{}) bool {
	for _, process := range strays {
		process.Stop(0)
	}
	for _, process := range strays {
		select {
		case <-process.Done():
			process.Forget()
		case <-stopping:
			return false
		}
	}
	return true
}

// takeOver follows the runs that were adopted, and does away with the strays.
func (w *worker) takeOver() {
	for container, process := range w.processes {
		w.follow(container, process)
	}
	if len(w.strays) == 0 {
		close(w.cleared)
		return
	}
	w.log.Warn("stopping runs that no container of the pod keeps", zap.Int("runs", len(w.strays)))
	w.tasks.Go(func() {
		if discard(w.strays, w.stopping) {
			close(w.cleared)
		}
	})
}

// awaitStrays waits until no stray of the pod runs any more.
func (w *worker) awaitStrays(ctx context.Context) error {
	select {
	case <-w.cleared:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for runs that are to end: %w", ctx.Err())
	}
}

// forgetTold has the engine forget the exits that the API server knows, or that nobody will ask for as the pod is gone.
func (w *worker) forgetTold() {
	podGone := w.state.vanished || w.report.missing || w.state.life == gone
	w.ended = slices.DeleteFunc(w.ended, func(r endedRun) bool {
		told := podGone || r.told(w.report.last)
		if told {
			r.process.Forget()
		}
		return told
	})
}
