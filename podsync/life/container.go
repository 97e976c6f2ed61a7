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
	// pulling: the image is being looked up or pulled. Turns into pulled or pullFailed.
	pulling step = "pulling"
	// pullFailed: the pull failed, and the error is shown. Turns into pullBackOff.
	pullFailed step = "pullFailed"
	// pullBackOff: waiting to try the pull again. Turns into pulling.
	pullBackOff step = "pullBackOff"
	// pulled: the module is on disk. Turns into starting.
	pulled step = "pulled"
	// starting: the engine was asked for a run. Turns into running, ended or unset.
	starting step = "starting"
	// unset: the run cannot be started as the container's spec is now. Turns into starting, or into
	// pulling if a volume shows an image.
	unset step = "unset"
	// running: the guest runs. Turns into ended.
	running step = "running"
	// ended: the last run ended. Stays, or turns into crashBackOff or pulling, as the restart
	// policy says.
	ended step = "ended"
	// crashBackOff: waiting to run again. Turns into pulling.
	crashBackOff step = "crashBackOff"
)

// container is the state of one container. It has many methods of a few lines each: each file of
// this package is about one thing that happens to a pod, and asks the container its own questions.
type container struct {
	spec *corev1.Container // of the present run, or of the next
	// next is what spec will be when the container is not busy. It is nil if nothing changed.
	next *corev1.Container
	kind podspec.Kind
	step step
	run  // the present run, or the last one

	waiting *corev1.ContainerStateWaiting // if set, the status shows it instead of the last exit
	image   image
	exit    *corev1.ContainerStateTerminated // of the last run, once it ended
	before  *corev1.ContainerStateTerminated // of the run before the last
	failed  bool                             // the last run never started
	// startsOver: all containers start over, and this one has not begun again yet.
	startsOver bool
	// again: the container runs again under every policy, because its new size needs that.
	again bool

	notBefore time.Time // the time before which no pull and no start begins
	crashes   backOff
	pulls     backOff
}

// run is one attempt of a container.
type run struct {
	id        string
	attempt   int32     // from 0; -1 before the first
	begun     time.Time // while it goes on
	probes    [probeKinds]probeState
	postStart progress
	preStop   progress
	hookErr   error // of the postStart hook
	stop      stopping
	size      size
}

// image is the result of a container's last pull.
type image struct {
	id     string // as the status shows it
	others bool   // volumes of the container show images, too
	lacks  string // the image of a volume that could not be pulled; empty for the container's own
}

func newContainer(spec *corev1.Container, kind podspec.Kind) *container {
	return &container{spec: spec, kind: kind, step: fresh, run: run{attempt: -1, size: size{actual: spec.Resources}}}
}

// busy reports whether an action for the container goes on, or its guest runs.
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

// applyExit notes how a run ended. Delays count from that time by the agent's own clock, which
// cannot be set. A worker reports the time by the time of day.
func (c *container) applyExit(exit runtime.Exit, now time.Time) {
	message := exit.Message
	// If a container wants the end of its log as message on errors, an empty message is not
	// replaced.
	quiet := c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError
	if exit.Reason == runtime.Completed && message == "" && !quiet {
		message = completedMessage
	}
	c.end(&corev1.ContainerStateTerminated{
		ExitCode: exit.Code, Reason: string(exit.Reason), Message: truncate(message, MessageLimit),
		StartedAt: stamp(c.begun), FinishedAt: stamp(exit.FinishedAt), ContainerID: podspec.ContainerID(c.id),
	}, now.Add(-max(now.Sub(exit.FinishedAt), 0)))
}

// rest undoes a pull or start that was given up without a result.
func (c *container) rest() {
	c.step = fresh
	if c.exit != nil {
		c.step = ended
	}
}

// begin makes id the last run.
func (c *container) begin(id string) {
	c.before, c.exit, c.startsOver, c.again = c.exit, nil, false, false
	c.run = run{id: id, attempt: c.attempt + 1, begun: c.begun, stop: c.stop, size: size{actual: c.size.actual}}
}

// end records how the last run ended, and when the next may begin.
func (c *container) end(exit *corev1.ContainerStateTerminated, at time.Time) {
	c.step, c.exit, c.waiting = ended, exit, nil
	c.stop.by, c.stop.asked = time.Time{}, time.Time{}
	c.crashes.forget(at)
	c.notBefore = at.Add(c.crashes.delay)
}
