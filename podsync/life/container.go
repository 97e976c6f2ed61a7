package life

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// step is the state of a container.
type step string

const (
	// fresh: not tried yet. Turns into pulling.
	fresh step = "fresh"
	// pulling: the node looks up or pulls the image. Turns into pulled or pullFailed.
	pulling step = "pulling"
	// pullFailed: the pull failed, and the status shows the error. Turns into pullBackOff.
	pullFailed step = "pullFailed"
	// pullBackOff: waiting to try the pull again. Turns into pulling.
	pullBackOff step = "pullBackOff"
	// pulled: the module is on disk. Turns into starting.
	pulled step = "pulled"
	// starting: the engine was asked for a run. Turns into running, ended or unset.
	starting step = "starting"
	// unset: the run cannot start as long as the container's spec stays as it is. Turns into
	// starting, or into pulling if a volume shows an image.
	unset step = "unset"
	// running: the guest runs. Turns into ended.
	running step = "running"
	// ended: the last run ended. The restart policy decides whether the state stays, or turns into
	// crashBackOff or pulling.
	ended step = "ended"
	// crashBackOff: waiting to run again. Turns into pulling.
	crashBackOff step = "crashBackOff"
)

// container is the state of one container. It has many short methods: each file of this package is
// about one thing that happens to a pod, and has methods for its own questions.
type container struct {
	spec *corev1.Container // of the present run, or of the next one
	// next becomes the spec as soon as the container is not busy. It is nil if nothing changed.
	next *corev1.Container
	kind podspec.Kind
	step step
	run  // the present run, or the last one

	waiting *corev1.ContainerStateWaiting // if set, the status shows it and not the last exit
	image   image
	exit    *corev1.ContainerStateTerminated // of the last run, once it ended
	before  *corev1.ContainerStateTerminated // of the run before the last
	failed  bool                             // the last run never started
	// startsOver: all containers start over, and this one has not started again yet.
	startsOver bool
	// again: the container runs again under every policy, because its new size needs a restart.
	again bool

	notBefore time.Time // no pull and no start begins before this time
	crashes   backOff
	pulls     backOff
}

// run is one attempt of a container.
type run struct {
	id        string
	attempt   int32     // from 0; -1 before the first
	begun     time.Time // set while the run goes on
	probes    [probeKinds]probeState
	postStart progress
	preStop   progress
	hookErr   error // the error of the postStart hook
	stop      stopping
	size      size
}

// image is the result of a container's last pull.
type image struct {
	id     string // as the status shows it
	others bool   // volumes of the container show images too
	lacks  string // the image of a volume that could not be pulled; empty if it was the container's own image
}

func newContainer(spec *corev1.Container, kind podspec.Kind) *container {
	return &container{spec: spec, kind: kind, step: fresh, run: run{attempt: -1, size: size{actual: spec.Resources}}}
}

// busy reports whether the guest runs, or an action for the container is not complete.
func (c *container) busy() bool {
	return c.step == pulling || c.step == starting || c.step == running
}

// succeeded reports whether the last run ended with exit code 0.
func (c *container) succeeded() bool {
	return c.step == ended && c.exit.ExitCode == 0
}

// passed reports whether the container is an init container that has succeeded.
func (c *container) passed() bool { return c.kind == podspec.Init && c.succeeded() }

func (c *container) lastRun() Run {
	r := Run{Container: c.spec, ID: c.id, Attempt: c.attempt}
	if !c.stop.by.IsZero() {
		r.StoppedAt = c.stop.decided
	}
	return r
}

func (e Pulled) apply(s *Pod, now time.Time) {
	c := s.find(e.Container)
	switch {
	case e.Err == nil:
		c.step, c.image, c.pulls = pulled, image{id: e.ImageID, others: e.Others}, backOff{}
	case errors.Is(e.Err, context.Canceled):
		c.rest()
	default:
		c.step, c.image.lacks = pullFailed, e.Lacks
		c.waiting = &corev1.ContainerStateWaiting{Reason: e.Reason, Message: e.Err.Error()}
		c.pulls.grow(now)
		c.notBefore = now.Add(c.pulls.delay)
	}
}

func (e Started) apply(s *Pod, now time.Time) {
	c := s.find(e.Container)
	switch {
	case e.Err == nil:
		c.begin(e.ID)
		c.step, c.begun, c.waiting, c.failed = running, e.At, nil, false
	case errors.Is(e.Err, context.Canceled):
		c.rest()
	case e.Reason != "":
		c.step = unset
		c.waiting = &corev1.ContainerStateWaiting{Reason: e.Reason, Message: e.Err.Error()}
		c.notBefore = now.Add(unsetRetry)
	default:
		c.begin(e.ID)
		c.failed = true
		c.end(&corev1.ContainerStateTerminated{
			ExitCode: startFailedCode, Reason: string(runtime.Error), Message: truncate(e.Err.Error(), MessageLimit),
			StartedAt: stamp(now), FinishedAt: stamp(now), ContainerID: podspec.ContainerID(e.ID),
		}, now)
	}
}

func (e RunEnded) apply(s *Pod, now time.Time) { s.find(e.Container).applyExit(e.Exit, now) }

// applyExit notes how a run ended. The worker reports the end as a time of day, which users can
// set. Delays count from the same moment on the agent's own clock, which users cannot set.
func (c *container) applyExit(exit runtime.Exit, now time.Time) {
	message := exit.Message
	// With the policy FallbackToLogsOnError, an empty message stays empty.
	quiet := c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError
	if exit.Reason == runtime.Completed && message == "" && !quiet {
		message = completedMessage
	}
	c.end(&corev1.ContainerStateTerminated{
		ExitCode: exit.Code, Reason: string(exit.Reason), Message: truncate(message, MessageLimit),
		StartedAt: stamp(c.begun), FinishedAt: stamp(exit.FinishedAt), ContainerID: podspec.ContainerID(c.id),
	}, now.Add(-max(now.Sub(exit.FinishedAt), 0)))
}

// rest goes back to the state before a pull or start that was cancelled without a result.
func (c *container) rest() {
	c.step = fresh
	if c.exit != nil {
		c.step = ended
	}
}

// begin makes id the last run of the container.
func (c *container) begin(id string) {
	c.before, c.exit, c.startsOver, c.again = c.exit, nil, false, false
	c.run = run{id: id, attempt: c.attempt + 1, begun: c.begun, stop: c.stop, size: size{actual: c.size.actual}}
}

// end records how the last run ended, and sets when the next run may begin.
func (c *container) end(exit *corev1.ContainerStateTerminated, at time.Time) {
	c.step, c.exit, c.waiting = ended, exit, nil
	c.stop.by, c.stop.asked = time.Time{}, time.Time{}
	c.crashes.forget(at)
	c.notBefore = at.Add(c.crashes.delay)
}
