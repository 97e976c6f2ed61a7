package podsync

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// adoption has the runs of a pod that an earlier agent started. The pod loop takes them over in
// addition to the state.
type adoption struct {
	running map[string]runtime.Guest // by container: they go on
	// ended: the state has the exits of these runs, but the API server may not have them.
	ended  []untoldRun
	strays []runtime.Guest // runs that the state does not have; they are stopped and forgotten
}

// untoldRun is a run that has ended, and the engine still keeps its exit. If this agent ended now,
// the next one would ask the engine for the run.
type untoldRun struct {
	life.EndedRun
	process runtime.Guest
}

// takeUp makes the state of a pod from its object, from the notes on disk, and from the runs that
// the engine has.
func takeUp(pod *corev1.Pod, dirs podfiles.Pod, runs []runtime.Run, now time.Time) (*life.Pod, adoption) {
	processes := map[string]runtime.Guest{}
	for _, r := range runs {
		processes[r.ID] = r.Guest
	}
	state, adopted := life.Restore(pod, remains(dirs, pod, runs), now)
	a := adoption{running: map[string]runtime.Guest{}}
	for container, id := range adopted.Running {
		a.running[container] = processes[id]
	}
	for _, r := range adopted.Ended {
		a.ended = append(a.ended, untoldRun{r, processes[r.ID]})
	}
	for _, id := range adopted.Strays {
		a.strays = append(a.strays, processes[id])
	}
	return state, a
}

// foundRuns are the engine's runs of earlier agents whose pods have no loop yet.
type foundRuns struct {
	mu sync.Mutex
	of map[types.UID][]runtime.Run
}

// keep groups runs by their pods.
func (f *foundRuns) keep(runs []runtime.Run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of = map[types.UID][]runtime.Run{}
	for _, run := range runs {
		uid := types.UID(run.Of.Pod)
		f.of[uid] = append(f.of[uid], run)
	}
}

// take returns the runs of a pod, once.
func (f *foundRuns) take(uid types.UID) []runtime.Run {
	f.mu.Lock()
	defer f.mu.Unlock()
	runs := f.of[uid]
	delete(f.of, uid)
	return runs
}

// takeRest returns the runs that no pod has taken, once.
func (f *foundRuns) takeRest() []runtime.Run {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rest []runtime.Run
	for _, runs := range f.of {
		rest = append(rest, runs...)
	}
	f.of = nil
	return rest
}

// remains reads what earlier agents left of a pod.
func remains(d podfiles.Pod, pod *corev1.Pod, runs []runtime.Run) life.Remains {
	left := life.Remains{Addresses: d.Addresses(), LastAttempt: map[string]int32{}}
	all := podspec.Containers(pod)
	for _, c := range all {
		if attempt := d.LastAttempt(c.Name); attempt >= 0 {
			left.LastAttempt[c.Name] = attempt
		}
	}
	for _, r := range runs {
		one := life.Remnant{ID: r.ID, Of: r.Of, StartedAt: r.StartedAt}
		if c := podspec.Container(pod, r.Of.Container); c != nil && ended(r.Guest) {
			exit := d.WithLastWords(c, r.Of.Attempt, len(all), r.Guest.Exit())
			one.Exit = &exit
		}
		left.Runs = append(left.Runs, one)
	}
	return left
}

// ended reports whether a run has ended.
func ended(process runtime.Guest) bool { return closed(process.Done()) }

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// discard stops runs, and forgets each when it has ended. If stopping is closed first, it returns
// false.
func discard(strays []runtime.Guest, stopping <-chan struct{}) bool {
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

// takeOver follows the adopted runs, and stops the strays.
func (w *podLoop) takeOver() {
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
func (w *podActions) awaitStrays(ctx context.Context) error {
	select {
	case <-w.cleared:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for runs that must end: %w", ctx.Err())
	}
}

// forgetTold makes the engine forget the runs whose exits the API server has. If the pod was
// deleted, the engine forgets all runs of the pod.
func (w *podLoop) forgetTold() {
	deleted := w.state.Vanished() || w.report.missing || w.state.Stage() == life.Absent
	w.ended = slices.DeleteFunc(w.ended, func(r untoldRun) bool {
		told := deleted || r.Told(w.report.last)
		if told {
			r.process.Forget()
		}
		return told
	})
}
