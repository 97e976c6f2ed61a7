package life

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// FeatureRestartAll is a feature of nodes. The scheduler demands it for pods in which all
// containers may start over.
const FeatureRestartAll = "RestartAllContainersOnContainerExits"

// Reasons and messages of a pod in which all containers start over.
const (
	reasonRestartingAll     = "RestartingAllContainers"
	restartingAllMessage    = "The container is removed because RestartAllContainers in place"
	reasonRestartAllStarted = "RestartAllContainersStarted"
	restartAllMessage       = "container exited with restart policy rule"
)

// asksForAll reports whether this container's end makes all containers of the pod start over, and
// whether that has not happened yet.
func (c *container) asksForAll() bool {
	return c.step == ended && !c.startsOver && !c.failed && c.kind != podspec.Ephemeral &&
		ruleFor(c.spec, c.exit.ExitCode) == corev1.ContainerRestartRuleActionRestartAllContainers
}

// restartAll makes all containers start over, from the first init container on, once one container
// asks for it. First it ends the running guests: the last containers first, and without grace. It
// reports whether that is still going on. The container that asked waits for its back-off, as after
// a restart of its own.
func (d *decision) restartAll() bool {
	if d.restarting == "" {
		i := slices.IndexFunc(d.containers, (*container).asksForAll)
		if i < 0 {
			return false
		}
		d.restarting = d.containers[i].spec.Name
	}
	busy := false
	for _, c := range slices.Backward(d.containers) {
		if c.kind == podspec.Ephemeral {
			continue
		}
		c.quit(d, d.now, events.RestartingAll(c.spec.Name))
		c.conclude(d, true)
		busy = busy || c.busy()
	}
	if busy {
		return true
	}
	for _, c := range d.containers {
		if c.kind != podspec.Ephemeral {
			c.startOver(c.spec.Name == d.restarting)
		}
	}
	d.restarting = ""
	return false
}

// startOver makes a container begin as if it had not run yet. If the container did not ask for it,
// its status says that the restart of all ended it, even if it had ended by itself. Otherwise that
// end would count.
func (c *container) startOver(asked bool) {
	c.startsOver = true
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

// restoreStartOver finds out from a status whether a container waits until all start over.
func (c *container) restoreStartOver() {
	switch {
	case c.exit.Reason == reasonRestartingAll:
		c.step, c.startsOver, c.waiting = fresh, true, waitsForAll()
	case ruleFor(c.spec, c.exit.ExitCode) == corev1.ContainerRestartRuleActionRestartAllContainers:
		c.startsOver, c.waiting = true, waitsForAll()
	}
}

func waitsForAll() *corev1.ContainerStateWaiting {
	return &corev1.ContainerStateWaiting{Reason: reasonRestartingAll, Message: restartingAllMessage}
}

// mayRestartAll reports whether a container of the pod may make all of them start over.
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

// restartingCondition is the condition that says whether all containers are being ended so that
// they start over.
func (s statement) restartingCondition(status *corev1.PodStatus) corev1.PodCondition {
	switch {
	case status.Phase == corev1.PodSucceeded:
		return condition(corev1.AllContainersRestarting, false, reasonPodCompleted, "")
	case status.Phase == corev1.PodFailed:
		return condition(corev1.AllContainersRestarting, false, reasonPodFailed, "")
	case s.restarting != "" && s.stage == Active:
		return condition(corev1.AllContainersRestarting, true, reasonRestartAllStarted, restartAllMessage)
	}
	return condition(corev1.AllContainersRestarting, false, "", "")
}
