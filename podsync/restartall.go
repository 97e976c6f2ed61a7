package podsync

import (
	"slices"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	corev1 "k8s.io/api/core/v1"
)

// FeatureRestartAll is what the scheduler asks nodes for that are to have pods whose containers may all start over.
const FeatureRestartAll = "RestartAllContainersOnContainerExits"

// Words of a pod whose containers all start over.
const (
	reasonRestartingAll     = "RestartingAllContainers"
	restartingAllMessage    = "The container is removed because RestartAllContainers in place"
	reasonRestartAllStarted = "RestartAllContainersStarted"
	restartAllMessage       = "container exited with restart policy rule"
)

// asksForAll says whether the container has ended in a way that has all containers of the pod start over, and they have not yet.
func (c *containerState) asksForAll() bool {
	return c.step == exited && !c.anew && !c.failed && !c.ephemeral &&
		ruleFor(c.spec, c.exit.ExitCode) == corev1.ContainerRestartRuleActionRestartAllContainers
}

// restartAll has all containers start over, from the first init container on, once one asks for it: what runs is ended first,
// the last ones first and without grace. It says whether that is still under way. The container that asked waits for its
// back-off, as one that is restarted alone does.
func (s *podState) restartAll(d *decision) bool {
	if s.restarting == "" {
		i := slices.IndexFunc(s.containers, (*containerState).asksForAll)
		if i < 0 {
			return false
		}
		s.restarting = s.containers[i].spec.Name
	}
	busy := false
	for _, c := range slices.Backward(s.containers) {
		if c.ephemeral {
			continue
		}
		c.quit(d, d.now, events.RestartingAll(c.spec.Name))
		c.conclude(d, true)
		busy = busy || c.busy()
	}
	if busy {
		return true
	}
	for _, c := range s.containers {
		if !c.ephemeral {
			c.startOver(c.spec.Name == s.restarting)
		}
	}
	s.restarting = ""
	return false
}

// startOver has a container begin as if it had not run yet. One that did not ask for it is told of as ended by that, also where
// it had ended by itself: else its end would count.
func (c *containerState) startOver(asked bool) {
	c.anew = true
	c.waiting = waitsForAll()
	if asked {
		return
	}
	c.step = fresh
	if c.exit == nil {
		return
	}
	was := *c.exit
	was.ExitCode, was.Reason, was.Message = killedCode, reasonRestartingAll, restartingAllMessage
	c.exit, c.failed = &was, false
}

// restoreAnew takes over from a status that a container waits for all to have started over.
func (c *containerState) restoreAnew() {
	switch {
	case c.exit.Reason == reasonRestartingAll:
		c.step, c.anew, c.waiting = fresh, true, waitsForAll()
	case ruleFor(c.spec, c.exit.ExitCode) == corev1.ContainerRestartRuleActionRestartAllContainers:
		c.anew, c.waiting = true, waitsForAll()
	}
}

func waitsForAll() *corev1.ContainerStateWaiting {
	return &corev1.ContainerStateWaiting{Reason: reasonRestartingAll, Message: restartingAllMessage}
}

// mayRestartAll says whether some container may have all of them start over.
func mayRestartAll(pod *corev1.Pod) bool {
	for _, c := range podspec.Containers(pod) {
		for _, rule := range c.RestartPolicyRules {
			if rule.Action == corev1.ContainerRestartRuleActionRestartAllContainers {
				return true
			}
		}
	}
	return false
}

// restartingCondition says whether all containers are being ended to start over.
func (s *podState) restartingCondition(status *corev1.PodStatus) corev1.PodCondition {
	switch {
	case status.Phase == corev1.PodSucceeded:
		return condition(corev1.AllContainersRestarting, false, reasonPodCompleted, "")
	case status.Phase == corev1.PodFailed:
		return condition(corev1.AllContainersRestarting, false, reasonPodFailed, "")
	case s.restarting != "" && s.life == active:
		return condition(corev1.AllContainersRestarting, true, reasonRestartAllStarted, restartAllMessage)
	}
	return condition(corev1.AllContainersRestarting, false, "", "")
}
