package life

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Words of a container's state that users and tools read. They are the kubelet's, unless the
// comment says that they are Krustlet's.
const (
	ReasonContainerCreating  = "ContainerCreating"
	ReasonPodInitializing    = "PodInitializing"
	reasonCrashLoopBackOff   = "CrashLoopBackOff"
	ReasonRunContainerError  = "RunContainerError"
	reasonImagePullBackOff   = "ImagePullBackOff"
	reasonPostStartHookError = "PostStartHookError"
	reasonStatusUnknown      = "ContainerStatusUnknown"

	completedMessage = "Module run completed" // Krustlet's word for exit code 0
	neverRanMessage  = "The container was not started before the pod was stopped"

	// startFailedCode is the exit code of a run that could not start. Container runtimes report the
	// same code.
	startFailedCode = 128
	killedCode      = 137

	// MessageLimit is the size of a termination message, in bytes.
	MessageLimit = 4096
)

// statement is a pod's status at one time.
type statement struct {
	*Pod
	now time.Time
}

// Status is the pod's status at now. was is the status that the API server has. This node keeps the
// parts of it that others own. A condition that has not changed keeps its transition time. host is
// the node's address.
func (s *Pod) Status(was corev1.PodStatus, host netip.Addr, now time.Time) corev1.PodStatus {
	return statement{s, now}.status(was, host)
}

func (s statement) status(was corev1.PodStatus, host netip.Addr) corev1.PodStatus {
	status := *was.DeepCopy()
	status.ObservedGeneration = s.pod.Generation
	if s.stage != Closing && s.stage != Ending { // the pod gets its final phase only once it has ended
		status.Reason, status.Message = s.reason, s.message
	}
	if status.StartTime == nil {
		t := stamp(s.startedAt)
		status.StartTime = &t
	}
	podspec.ReachOf(s.pod, s.addresses, host).Show(&status)
	status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses = s.containerStatuses()
	status.Phase = s.phase(was.Phase, status.ContainerStatuses)
	for _, c := range s.conditions(&status) {
		c.ObservedGeneration = s.pod.Generation
		setCondition(&status, c, s.now)
	}
	s.showResize(&status)
	return status
}

func (s statement) containerStatuses() (inits, apps, ephemeral []corev1.ContainerStatus) {
	if s.verdict == refused {
		return nil, nil, nil
	}
	for _, c := range s.containers {
		status := s.containerStatus(c)
		switch {
		case c.kind.IsInit():
			inits = append(inits, status)
		case c.kind == podspec.Ephemeral:
			status.Ready, status.Started = false, nil
			ephemeral = append(ephemeral, status)
		default:
			apps = append(apps, status)
		}
	}
	return inits, apps, ephemeral
}

func (s statement) initialised() bool {
	for i := range s.containers {
		if !s.passes(i) {
			return false
		}
	}
	return true
}

func (s statement) containerStatus(c *container) corev1.ContainerStatus {
	if s.stage == Active && c.settling() {
		return s.settlingStatus(c)
	}
	started := c.started()
	status := corev1.ContainerStatus{
		Name:         c.spec.Name,
		Image:        c.spec.Image,
		RestartCount: max(0, c.attempt),
		Started:      &started,
		Ready:        c.ready(),
		VolumeMounts: mountStatuses(c.spec),
	}
	c.showSize(&status)
	if c.attempt >= 0 {
		status.ContainerID, status.ImageID = podspec.ContainerID(c.id), c.image.id
	}
	switch {
	case c.step == running:
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: stamp(c.begun)}
		status.LastTerminationState.Terminated = c.before
	case c.exit != nil && (c.waiting == nil || s.stage == Terminal || s.stopped()):
		status.State.Terminated = c.exit
		status.LastTerminationState.Terminated = c.before
	case s.stopped():
		status.State.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: killedCode, Reason: reasonStatusUnknown, Message: neverRanMessage,
		}
	default:
		status.State.Waiting = s.waitingFor(c)
		status.LastTerminationState.Terminated = c.exit
	}
	return status
}

// stopped reports whether no container runs and none will run.
func (s *Pod) stopped() bool {
	return s.stage == Removing || s.stage == Absent || s.stage == Terminal && s.verdict != none
}

// settlingStatus is the status of a container whose run does not count yet. It is the status from
// before that run.
func (s statement) settlingStatus(c *container) corev1.ContainerStatus {
	started := false
	status := corev1.ContainerStatus{
		Name:         c.spec.Name,
		Image:        c.spec.Image,
		RestartCount: max(0, c.attempt-1),
		Started:      &started,
		VolumeMounts: mountStatuses(c.spec),
	}
	status.State.Waiting = s.waitingFor(c)
	if c.before != nil {
		status.ContainerID, status.ImageID, status.LastTerminationState.Terminated = c.before.ContainerID, c.image.id, c.before
	}
	return status
}

func (s statement) waitingFor(c *container) *corev1.ContainerStateWaiting {
	switch {
	case c.waiting != nil:
		return c.waiting
	case len(s.pod.Spec.InitContainers) > 0:
		return &corev1.ContainerStateWaiting{Reason: ReasonPodInitializing}
	default:
		return &corev1.ContainerStateWaiting{Reason: ReasonContainerCreating}
	}
}

// mountStatuses says how a container's volumes are mounted. A read-only mount is read-only at every
// depth. The status says so if the spec asks for that.
func mountStatuses(c *corev1.Container) []corev1.VolumeMountStatus {
	var all []corev1.VolumeMountStatus
	for _, m := range c.VolumeMounts {
		status := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			mode := corev1.RecursiveReadOnlyDisabled
			if asked := m.RecursiveReadOnly; asked != nil && *asked != mode {
				mode = corev1.RecursiveReadOnlyEnabled
			}
			status.RecursiveReadOnly = &mode
		}
		all = append(all, status)
	}
	return all
}

func pullBackOffWaiting(image string, failed *corev1.ContainerStateWaiting) *corev1.ContainerStateWaiting {
	return &corev1.ContainerStateWaiting{
		Reason:  reasonImagePullBackOff,
		Message: fmt.Sprintf("Back-off pulling image %q: %s: %s", image, failed.Reason, failed.Message),
	}
}

// crashWaiting is the waiting state of a container that will run again: either it crashes, or it
// cannot be started.
func (c *container) crashWaiting(pod *corev1.Pod) *corev1.ContainerStateWaiting {
	if c.failed {
		return &corev1.ContainerStateWaiting{Reason: ReasonRunContainerError, Message: c.exit.Message}
	}
	if c.hookErr != nil {
		return &corev1.ContainerStateWaiting{Reason: reasonPostStartHookError, Message: truncate(c.hookErr.Error(), MessageLimit)}
	}
	return &corev1.ContainerStateWaiting{
		Reason: reasonCrashLoopBackOff,
		Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
			c.crashes.delay, c.spec.Name, pod.Name, pod.Namespace, pod.UID),
	}
}

// phase follows the kubelet's rules. It is Pending until every init container has succeeded and
// every container has run once. After that it depends on the containers and the restart policy.
func (s statement) phase(was corev1.PodPhase, apps []corev1.ContainerStatus) corev1.PodPhase {
	if podspec.Terminal(was) {
		return was
	}
	stopped := s.stage == Terminal || s.stopped()
	if stopped && s.verdict != none {
		return corev1.PodFailed
	}
	if !s.initialised() {
		if stopped {
			return corev1.PodFailed
		}
		return corev1.PodPending
	}
	alive, failed := false, false
	for _, c := range apps {
		if c.State.Waiting != nil && c.LastTerminationState.Terminated == nil {
			return corev1.PodPending
		}
		alive = alive || c.State.Terminated == nil
		failed = failed || c.State.Terminated != nil && c.State.Terminated.ExitCode != 0
	}
	switch {
	case !stopped || alive:
		return corev1.PodRunning
	case failed:
		return corev1.PodFailed
	default:
		return corev1.PodSucceeded
	}
}

func (s statement) conditions(status *corev1.PodStatus) []corev1.PodCondition {
	ended := podspec.Terminal(status.Phase)
	set := s.setup.IsComplete() || s.wasSetUp && s.setup.err == nil
	set = set && !ended && !s.stopped() && s.verdict != refused
	conditions := []corev1.PodCondition{
		condition(corev1.PodReadyToStartContainers, set, "", ""),
		s.initializedCondition(status),
		s.containersReady(status),
		s.podReady(status),
	}
	if mayRestartAll(s.pod) {
		conditions = append(conditions, s.restartingCondition(status))
	}
	if ended && s.verdict == relieving {
		conditions = append(conditions, condition(corev1.DisruptionTarget, true, corev1.PodReasonTerminationByKubelet, s.message))
	}
	return conditions
}

func (s statement) initializedCondition(status *corev1.PodStatus) corev1.PodCondition {
	var names []string
	for i, c := range s.containers {
		if !s.passes(i) {
			names = append(names, c.spec.Name)
		}
	}
	if len(names) == 0 {
		reason := ""
		if status.Phase == corev1.PodSucceeded {
			reason = reasonPodCompleted
		}
		return condition(corev1.PodInitialized, true, reason, "")
	}
	// A pod that has been initialized stays so when its containers start over.
	if podspec.HasCondition(status, corev1.PodInitialized, corev1.ConditionTrue) {
		return condition(corev1.PodInitialized, true, "", "")
	}
	return condition(corev1.PodInitialized, false, "ContainersNotInitialized",
		fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(names, " ")))
}

const (
	reasonPodCompleted = "PodCompleted"
	reasonPodFailed    = "PodFailed"
)

func (s statement) containersReady(status *corev1.PodStatus) corev1.PodCondition {
	switch status.Phase {
	case corev1.PodSucceeded:
		return condition(corev1.ContainersReady, false, reasonPodCompleted, "")
	case corev1.PodFailed:
		return condition(corev1.ContainersReady, false, reasonPodFailed, "")
	}
	var names []string
	for _, c := range s.containers {
		if (c.kind == podspec.App || c.kind == podspec.Sidecar) && !c.ready() {
			names = append(names, c.spec.Name)
		}
	}
	if len(names) == 0 {
		return condition(corev1.ContainersReady, true, "", "")
	}
	return condition(corev1.ContainersReady, false, "ContainersNotReady",
		fmt.Sprintf("containers with unready status: [%s]", strings.Join(names, " ")))
}

// podReady combines the readiness of the containers with the conditions that are the pod's
// readiness gates.
func (s statement) podReady(status *corev1.PodStatus) corev1.PodCondition {
	ready := s.containersReady(status)
	ready.Type = corev1.PodReady
	if ready.Status != corev1.ConditionTrue {
		return ready
	}
	var missing []string
	for _, gate := range s.pod.Spec.ReadinessGates {
		i := slices.IndexFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == gate.ConditionType })
		switch {
		case i < 0:
			missing = append(missing, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", gate.ConditionType))
		case status.Conditions[i].Status != corev1.ConditionTrue:
			missing = append(missing, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", gate.ConditionType, status.Conditions[i].Status))
		}
	}
	if len(missing) == 0 {
		return ready
	}
	return condition(corev1.PodReady, false, "ReadinessGatesNotReady", strings.Join(missing, ", "))
}

func condition(kind corev1.PodConditionType, true_ bool, reason, message string) corev1.PodCondition {
	status := corev1.ConditionFalse
	if true_ {
		status = corev1.ConditionTrue
	}
	return corev1.PodCondition{Type: kind, Status: status, Reason: reason, Message: message}
}

func setCondition(status *corev1.PodStatus, c corev1.PodCondition, now time.Time) {
	c.LastTransitionTime = stamp(now)
	for i, old := range status.Conditions {
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		c.LastProbeTime = old.LastProbeTime
		status.Conditions[i] = c
		return
	}
	status.Conditions = append(status.Conditions, c)
}

// stamp is a time in the API's precision: whole seconds.
func stamp(t time.Time) metav1.Time { return metav1.NewTime(t).Rfc3339Copy() }

// truncate shortens a text to at most limit bytes. It does not cut a character in two.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
