package podsync

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// lostMessage is why a run ended of which an earlier agent was the host.
const lostMessage = "The agent that hosted the container ended, and the container with it"

// restore is the state of a pod as this agent finds it. What its status tells of an earlier agent's work goes on
// from there: a pod that finished stays finished, and a run that was going on has ended with its agent.
func restore(pod *corev1.Pod, dirs podDirs, now time.Time) *podState {
	s := newState(pod, now)
	s.reason = pod.Status.Reason
	if t := pod.Status.StartTime; t != nil {
		s.startedAt = t.Time
	}
	statuses := map[string]corev1.ContainerStatus{}
	for _, status := range pod.Status.InitContainerStatuses {
		statuses[status.Name] = status
	}
	for _, status := range pod.Status.ContainerStatuses {
		statuses[status.Name] = status
	}
	for _, c := range s.containers {
		c.restore(statuses[c.spec.Name], dirs.lastAttempt(c.spec.Name), now)
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		s.life = finished
		s.setup.progress = done
	}
	s.shortenGrace(now)
	return s
}

// restore takes over what a status says of a container. onDisk is the last attempt that has a log: a run of
// which no status was ever written.
func (c *containerState) restore(status corev1.ContainerStatus, onDisk int32, now time.Time) {
	c.module.ImageID = status.ImageID
	c.id = trimScheme(status.ContainerID)
	switch {
	case status.State.Running != nil:
		c.attempt, c.before = status.RestartCount, status.LastTerminationState.Terminated
		c.lose(status.State.Running.StartedAt.Time, now)
	case status.State.Terminated != nil:
		c.attempt, c.before = status.RestartCount, status.LastTerminationState.Terminated
		c.step, c.exit = exited, status.State.Terminated
	case status.LastTerminationState.Terminated != nil:
		c.attempt, c.step, c.exit = status.RestartCount, exited, status.LastTerminationState.Terminated
	}
	if onDisk > c.attempt {
		c.attempt, c.before = onDisk, c.exit
		c.lose(now, now)
	}
}

// lose ends a run that went with its agent.
func (c *containerState) lose(began, now time.Time) {
	c.step = exited
	c.exit = &corev1.ContainerStateTerminated{
		ExitCode: killedCode, Reason: string(runtime.Error), Message: lostMessage,
		StartedAt: stamp(began), FinishedAt: stamp(now), ContainerID: containerID(c.id),
	}
}
