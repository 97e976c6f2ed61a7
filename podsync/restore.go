package podsync

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// lostMessage is why a run ended that nobody hosts any more.
const lostMessage = "The process that hosted the container ended, and the container with it"

// adoption is what a worker takes over besides the state: runs of its pod that an earlier agent started.
type adoption struct {
	running map[string]runtime.Process // by container: they go on
	ended   []endedRun                 // the state has their exits, the API server may not
	strays  []runtime.Process          // not in the state: to be stopped and forgotten
}

// restore is the state of a pod as this agent finds it. What its status tells of an earlier agent's work goes on
// from there, and so do the runs that the engine still has: a pod that finished stays finished, a run that goes
// on is the container's, and one that nobody has any more has ended.
func restore(pod *corev1.Pod, dirs podDirs, runs []runtime.Run, now time.Time) (*podState, adoption) {
	s := newState(pod, now)
	s.reason, s.message = pod.Status.Reason, pod.Status.Message
	if t := pod.Status.StartTime; t != nil {
		s.startedAt = t.Time
	}
	if podspec.Terminal(pod.Status.Phase) {
		s.life = finished
		s.setup.progress = done
		s.refused = pod.Status.Phase == corev1.PodFailed && len(pod.Status.ContainerStatuses) == 0
	}
	for _, c := range s.containers {
		if status := podspec.StatusOf(pod, c.spec.Name); status != nil {
			c.restore(status)
			c.restoreSize(status)
			c.restoreProbes(status, string(pod.UID), now)
		}
	}
	for _, c := range pod.Status.Conditions {
		s.wasSetUp = s.wasSetUp || c.Type == corev1.PodReadyToStartContainers && c.Status == corev1.ConditionTrue
	}
	s.restoreResize(&pod.Status)
	s.place = dirs.place(&pod.Status, s.wasSetUp || s.life == finished)
	adopted := s.adopt(runs, dirs, now)
	for _, c := range s.containers {
		if c.step == running && adopted.running[c.spec.Name] == nil {
			c.lose(c.begun, now)
		}
		if status := podspec.StatusOf(pod, c.spec.Name); status != nil {
			c.restoreImage(status)
		}
		c.restoreUntold(dirs.lastAttempt(c.spec.Name), now)
	}
	if t := pod.DeletionTimestamp; t != nil { // that is when the grace period ends
		s.deadline = now
		if t.After(now) {
			s.deadline = t.Time
		}
	}
	s.shortenGrace(now)
	return s, adopted
}

// restore takes over what a status says of a container.
func (c *containerState) restore(status *corev1.ContainerStatus) {
	c.module.ImageID = status.ImageID
	c.id = podspec.RunID(status.ContainerID)
	switch {
	case status.State.Running != nil:
		c.attempt, c.before = status.RestartCount, status.LastTerminationState.Terminated
		c.step, c.begun = running, status.State.Running.StartedAt.Time
	case status.State.Terminated != nil:
		c.attempt, c.before = status.RestartCount, status.LastTerminationState.Terminated
		c.step, c.exit = exited, status.State.Terminated
	case status.LastTerminationState.Terminated != nil:
		c.attempt, c.step, c.exit = status.RestartCount, exited, status.LastTerminationState.Terminated
		c.restoreAnew()
	}
}

// adopt lets the containers go on with the runs that the engine has. A container keeps the newest of its runs; one
// that no container keeps is a stray.
func (s *podState) adopt(runs []runtime.Run, dirs podDirs, now time.Time) adoption {
	a := adoption{running: map[string]runtime.Process{}}
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(x, y runtime.Run) int {
		return cmp.Or(cmp.Compare(x.Of.Attempt, y.Of.Attempt), y.StartedAt.Compare(x.StartedAt))
	})
	for _, run := range runs {
		name := run.Of.Container
		c := s.container(name)
		switch {
		case c == nil:
			a.strays = append(a.strays, run.Process)
			continue
		case c.step == running && c.id == run.ID: // as the status says
		case run.Of.Attempt > c.attempt && s.life != finished:
			// The earlier agent ended before it could tell of this one.
			if old := a.running[name]; old != nil {
				a.strays = append(a.strays, old)
			} else if c.step == running {
				c.lose(c.begun, now)
			}
			c.supersede(run)
		default:
			a.strays = append(a.strays, run.Process)
			continue
		}
		c.step, c.attempt = running, run.Of.Attempt
		delete(a.running, name)
		if ended(run.Process) {
			a.ended = append(a.ended, endedRun{run.ID, name, run.Of.Attempt, run.Process})
			c.applyExit(dirs.withLastWords(c.spec, c.attempt, len(s.containers), run.Process.Exit()))
		} else {
			a.running[name] = run.Process
		}
	}
	return a
}

// supersede makes run the container's last one.
func (c *containerState) supersede(run runtime.Run) {
	if c.exit != nil {
		c.before, c.exit = c.exit, nil
	}
	c.id, c.begun, c.module.ImageID = run.ID, run.StartedAt, run.Of.ImageID
	c.probes, c.postStart, c.anew = [probeKinds]probeState{}, done, false
}

// restoreUntold takes in a run of which there is nothing but a log: attempt is that of the newest log. It was begun
// when no status could be written any more, and what came of it nobody knows.
func (c *containerState) restoreUntold(attempt int32, now time.Time) {
	if c.step == running || attempt <= c.attempt {
		return
	}
	c.id, c.attempt, c.before, c.anew = "", attempt, c.exit, false
	c.lose(now, now)
}

// lose ends a run that went with the process that hosted it.
func (c *containerState) lose(began, now time.Time) {
	c.step = exited
	c.exit = &corev1.ContainerStateTerminated{
		ExitCode: killedCode, Reason: string(runtime.Error), Message: lostMessage,
		StartedAt: stamp(began), FinishedAt: stamp(now), ContainerID: podspec.ContainerID(c.id),
	}
}
