package podsync

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// life is where a pod stands as a whole.
type life string

const (
	// active: containers are run as the spec says. Turns into closing when all have ended for good or the pod's time is
	// up, into ending when the pod is to be deleted.
	active life = "active"
	// closing: nothing starts any more, and what still runs (sidecars, or all when the pod's time is up) is being
	// stopped. Turns into finished, or into ending when the pod is to be deleted.
	closing life = "closing"
	// finished: the phase is terminal, nothing will run, and what an earlier agent left running is stopped. Turns into
	// ending when the pod is to be deleted.
	finished life = "finished"
	// ending: the pod is to be deleted; nothing starts, what runs is being stopped. Turns into removing when
	// nothing runs any more.
	ending life = "ending"
	// removing: the last status is reported, the object deleted, the pod's folders cleared. Turns into gone.
	removing life = "removing"
	// gone: there is nothing left to do.
	gone life = "gone"
)

// step is where a container stands.
type step string

const (
	// fresh: not tried yet. Turns into pulling.
	fresh step = "fresh"
	// pulling: the image is being looked up or pulled. Turns into pulled or pullFailed.
	pulling step = "pulling"
	// pullFailed: the image cannot be had, and the error is shown. Turns into pullBackOff.
	pullFailed step = "pullFailed"
	// pullBackOff: waiting to try the pull again. Turns into pulling.
	pullBackOff step = "pullBackOff"
	// pulled: the module is on disk. Turns into starting.
	pulled step = "pulled"
	// starting: the engine was asked for a run. Turns into running, exited or unset.
	starting step = "starting"
	// unset: what the container's spec asks for cannot be put together yet. Turns into starting, or into pulling where a volume
	// shows an image.
	unset step = "unset"
	// running: the guest runs. Turns into exited.
	running step = "running"
	// exited: the last run ended. Stays, or turns into crashBackOff or pulling, as the restart policy says.
	exited step = "exited"
	// crashBackOff: waiting to run again. Turns into pulling.
	crashBackOff step = "crashBackOff"
)

// progress is where a thing that is done once stands.
type progress string

const (
	todo  progress = "todo"
	doing progress = "doing"
	done  progress = "done"
)

// podState is all that is known of one pod. Its worker owns it; decide, apply and statusOf read no clock
// and do no I/O.
type podState struct {
	pod        *corev1.Pod // the newest from the API server
	life       life
	vanished   bool              // the object is no longer in the API server
	deadline   time.Time         // while ending: when guests are killed; only ever moves forward in time's reach
	setup      task              // the pod's folders and what its containers share
	wasSetUp   bool              // by an earlier agent: this one's setup shows only if it fails
	isolated   bool              // known after setup: the guests have a process of their own
	place      podspec.Addresses // known after setup, too
	removal    task              // the object and the folders
	resizing   resizing
	reported   bool              // the API server has the status that statusOf gives
	closeBy    time.Time         // while closing: when guests are killed
	doomed     bool              // the pod has failed as a whole, whatever its containers' exits say
	refused    bool              // because the node could not take it: its containers have no status
	evicted    string            // why the pod has to go, or empty
	relieves   bool              // it has to because the node is under pressure
	restarting string            // the container whose end has all others end and start over, until they have ended
	reason     string            // of the pod, once it failed as a whole
	message    string            // and in more words
	startedAt  time.Time         // when this node took the pod up
	containers []*containerState // init containers first, each kind in the order of the spec
}

// task is a thing to be done once, and again after a while if it fails.
type task struct {
	progress  progress
	failures  int
	notBefore time.Time
	again     bool  // what made it fail may have changed since it began
	err       error // of the last try
}

// containerState is all that is known of one container.
type containerState struct {
	spec      *corev1.Container // of the run that goes on, or of the next
	next      *corev1.Container // what spec will be once nothing is under way; nil if nothing changed
	init      bool
	ephemeral bool // joined while the pod was there
	sidecar   bool // an init container that runs as long as the pod does
	step      step

	waiting *corev1.ContainerStateWaiting    // what the status shows instead of the last exit
	module  registry.Module                  // as of the last pull
	shown   map[string]registry.Module       // as well: what image volumes show, by the volumes' names
	lacks   string                           // the image of a volume that could not be had; empty: its own
	id      string                           // of the last run
	attempt int32                            // of the last run, from 0; -1 before the first
	begun   time.Time                        // start of the run that goes on
	exit    *corev1.ContainerStateTerminated // of the last run, once it ended
	before  *corev1.ContainerStateTerminated // of the run before the last
	failed  bool                             // the last run never started
	anew    bool                             // all containers start over, and this one has not begun since
	again   bool                             // it is to run again whatever its policy: its size asks for it

	notBefore time.Time // no pull and no start before
	crashes   backOff
	pulls     backOff

	// Of the run that goes on.
	probes    [probeKinds]probeState
	postStart progress
	preStop   progress
	hookErr   error                       // of the postStart hook
	stopBy    time.Time                   // when it is to have ended; zero: not at all
	quitAt    time.Time                   // when that was decided
	askedBy   time.Time                   // the stopBy that the engine was asked for; zero: not yet
	actual    corev1.ResourceRequirements // with which it was started, or resized
	resize    progress                    // todo or doing
	resizeAt  time.Time                   // not before
}

// newState is the state of a pod that no agent has touched.
func newState(pod *corev1.Pod, now time.Time) *podState {
	s := &podState{
		pod: pod, life: active, startedAt: now,
		setup: task{progress: todo}, removal: task{progress: todo},
	}
	for i := range pod.Spec.InitContainers {
		s.containers = append(s.containers, newContainer(&pod.Spec.InitContainers[i], true))
	}
	for i := range pod.Spec.Containers {
		s.containers = append(s.containers, newContainer(&pod.Spec.Containers[i], false))
	}
	s.join(pod)
	return s
}

func newContainer(spec *corev1.Container, init bool) *containerState {
	sidecar := init && spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
	return &containerState{spec: spec, init: init, sidecar: sidecar, step: fresh, attempt: -1,
		postStart: todo, preStop: todo, resize: todo, actual: spec.Resources}
}

func (s *podState) container(name string) *containerState {
	for _, c := range s.containers {
		if c.spec.Name == name {
			return c
		}
	}
	return nil
}

// busy says whether an action for the container is under way or its guest runs.
func (c *containerState) busy() bool {
	return c.step == pulling || c.step == starting || c.step == running
}

// Results of actions, and what the API server says: what apply takes.
type (
	// updated: the object changed.
	updated struct{ pod *corev1.Pod }
	// vanishedEvent: the object is gone from the API server.
	vanishedEvent struct{}
	// prepared: the pod's folders are there and its RuntimeClass is known, or err says why not, or the node cannot take
	// the pod.
	prepared struct {
		refused  *refusal
		isolated bool
		place    podspec.Addresses
		err      error
	}
	// classChanged: the pod's RuntimeClass is new, or another.
	classChanged struct{}
	// overfull: a volume of the pod has outgrown its limit, and the pod has to go; message says which.
	overfull struct{ message string }
	// reclaimed: the pod has to go because the node is under pressure; message says what it is short of.
	reclaimed struct{ message string }
	// pullDone: the module is on disk, or reason and err say why not.
	pullDone struct {
		container string
		module    registry.Module
		shown     map[string]registry.Module // by volume
		lacks     string                     // the image that err is of, if it is a volume's
		reason    string
		err       error
	}
	// startDone: the guest runs under id, or err says why not; reason is set where trying again is worth
	// it whatever the restart policy.
	startDone struct {
		container string
		id        string
		at        time.Time
		reason    string
		err       error
	}
	// exitSeen: the guest ended.
	exitSeen struct {
		container string
		exit      runtime.Exit
	}
	// removed: object and folders are gone, or err says why not.
	removed struct{ err error }
)

// apply takes in what happened at now.
func (s *podState) apply(event any, now time.Time) {
	switch e := event.(type) {
	case updated:
		s.pod = e.pod
		s.join(e.pod)
		s.redefine(e.pod)
		s.shortenGrace(now)
	case vanishedEvent:
		s.vanished = true
		s.shortenGrace(now)
	case prepared:
		s.isolated = e.isolated
		if e.place.Known {
			s.place = e.place
		}
		s.setup.end(e.err, now)
		if e.refused != nil {
			s.refused, s.doomed, s.reason, s.message = true, true, e.refused.reason, "Pod was rejected: "+e.refused.message
		}
	case overfull:
		s.evicted = e.message
	case reclaimed:
		s.evicted, s.relieves = e.message, true
		s.hurry(now.Add(evictionGrace))
	case classChanged:
		s.setup.hasten()
	case removed:
		s.removal.end(e.err, now)
	case pullDone:
		s.container(e.container).applyPull(e, now)
	case startDone:
		s.container(e.container).applyStart(e, now)
	case exitSeen:
		s.container(e.container).applyExit(e.exit)
	case probed:
		s.container(e.container).applyProbe(e)
	case hookDone:
		s.container(e.container).applyHook(e)
	case weighed:
		s.applyWeighed(e, now)
	case resized:
		s.applyResized(e, now)
	}
}

// shortenGrace brings the deadline forward, never puts it off.
func (s *podState) shortenGrace(now time.Time) {
	var by time.Time
	switch {
	case s.vanished:
		by = now
	case s.pod.DeletionTimestamp != nil:
		grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
		if g := s.pod.DeletionGracePeriodSeconds; g != nil {
			grace = max(0, *g)
		}
		by = now.Add(time.Duration(grace) * time.Second)
	default:
		return
	}
	if s.deadline.IsZero() || by.Before(s.deadline) {
		s.deadline = by
	}
}

// hurry has what is being stopped end by then at the latest.
func (s *podState) hurry(by time.Time) {
	for _, at := range []*time.Time{&s.deadline, &s.closeBy} {
		if by.Before(*at) {
			*at = by
		}
	}
}

// Delays between tries of a pod's own tasks, as a kubelet spaces mounts.
const (
	taskRetryFirst = 500 * time.Millisecond
	taskRetryMax   = 2*time.Minute + 2*time.Second
)

func (t *task) end(err error, now time.Time) {
	t.err = err
	if err == nil {
		t.progress = done
		return
	}
	t.progress = todo
	t.notBefore = now.Add(min(taskRetryMax, taskRetryFirst<<min(t.failures, 16)))
	t.failures++
	if t.again {
		t.hasten()
	}
}

// untilDone calls try until it has no error, or ctx ends, with the delays of a pod's tasks.
func untilDone(ctx context.Context, try func() error) {
	for t := (task{}); ctx.Err() == nil; {
		t.end(try(), time.Now())
		if t.progress == done {
			return
		}
		select {
		case <-time.After(time.Until(t.notBefore)):
		case <-ctx.Done():
		}
	}
}

// hasten lets a task that failed, or is about to, be tried again at once.
func (t *task) hasten() {
	t.again = t.progress == doing
	t.failures, t.notBefore = 0, time.Time{}
}

func (c *containerState) applyPull(e pullDone, now time.Time) {
	if e.err == nil {
		c.step, c.module, c.shown, c.pulls = pulled, e.module, e.shown, backOff{}
		return
	}
	if errors.Is(e.err, context.Canceled) {
		c.rest()
		return
	}
	c.step, c.lacks = pullFailed, e.lacks
	c.waiting = &corev1.ContainerStateWaiting{Reason: e.reason, Message: e.err.Error()}
	c.pulls.grow(now)
	c.notBefore = now.Add(c.pulls.delay)
}

func (c *containerState) applyStart(e startDone, now time.Time) {
	if e.err == nil {
		c.begin(e.id)
		c.step, c.begun, c.waiting, c.failed = running, e.at, nil, false
		return
	}
	if errors.Is(e.err, context.Canceled) {
		c.rest()
		return
	}
	if e.reason != "" {
		c.step = unset
		c.waiting = &corev1.ContainerStateWaiting{Reason: e.reason, Message: e.err.Error()}
		c.notBefore = now.Add(unsetRetry)
		return
	}
	c.begin(e.id)
	c.failed = true
	c.end(&corev1.ContainerStateTerminated{
		ExitCode: startFailedCode, Reason: string(runtime.Error), Message: truncate(e.err.Error(), messageLimit),
		StartedAt: stamp(now), FinishedAt: stamp(now), ContainerID: podspec.ContainerID(e.id),
	}, now)
}

func (c *containerState) applyExit(exit runtime.Exit) {
	message := exit.Message
	// Who asks for the log's end on errors expects no message without one.
	quiet := c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError
	if exit.Reason == runtime.Completed && message == "" && !quiet {
		message = completedMessage
	}
	c.end(&corev1.ContainerStateTerminated{
		ExitCode: exit.Code, Reason: string(exit.Reason), Message: truncate(message, messageLimit),
		StartedAt: stamp(c.begun), FinishedAt: stamp(exit.FinishedAt), ContainerID: podspec.ContainerID(c.id),
	}, exit.FinishedAt)
}

// rest takes back a pull or start that was given up: nothing came of it.
func (c *containerState) rest() {
	c.step = fresh
	if c.exit != nil {
		c.step = exited
	}
}

// begin makes id the last run.
func (c *containerState) begin(id string) {
	c.before, c.exit, c.anew = c.exit, nil, false
	c.id = id
	c.attempt++
	c.again, c.resize, c.resizeAt = false, todo, time.Time{}
	c.probes, c.postStart, c.preStop, c.hookErr = [probeKinds]probeState{}, todo, todo, nil
}

// end records how the last run ended, and when the next may begin.
func (c *containerState) end(exit *corev1.ContainerStateTerminated, at time.Time) {
	c.step, c.exit, c.waiting, c.stopBy, c.askedBy = exited, exit, nil, time.Time{}, time.Time{}
	c.crashes.forget(at)
	c.notBefore = at.Add(c.crashes.delay)
}
