package podsync

import (
	"fmt"
	"time"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	corev1 "k8s.io/api/core/v1"
)

// Actions: what decide asks for. Each is carried out without holding up the pod's worker, and those with a
// result give it to apply.
type (
	// prepare makes the pod's folders and looks up its RuntimeClass. Result: prepared.
	prepare struct{}
	// pull makes sure that a container's module is on disk, and the images of the volumes that it mounts, as the pull policies
	// say. Result: pullDone.
	pull struct{ container *corev1.Container }
	// start runs a container. Results: startDone and, if it started, exitSeen.
	start struct {
		container *corev1.Container
		state     containerState // a copy: module and attempt count
	}
	// stop has a container's guest killed after grace, unless it ends before.
	stop struct {
		container string
		grace     time.Duration
	}
	// giveUp cancels pulls and starts that are under way.
	giveUp struct{}
	// remove deletes the object, if it is still there, and the pod's folders. Result: removed.
	remove struct{ object bool }
	// announce records an event on a container, or on the pod.
	announce struct {
		container *corev1.Container
		event     events.Event
	}
)

// decision collects what is to be done.
type decision struct {
	now     time.Time
	actions []any
	wake    time.Time // zero: only an event can change anything
}

func (d *decision) do(action any) { d.actions = append(d.actions, action) }

func (d *decision) wakeAt(t time.Time) {
	if d.wake.IsZero() || t.Before(d.wake) {
		d.wake = t
	}
}

// due says whether t has come; if not, it sees to it that decide is asked again then.
func (d *decision) due(t time.Time) bool {
	if !d.now.Before(t) {
		return true
	}
	d.wakeAt(t)
	return false
}

// decide says what to do at now, and when to ask again if nothing happens. It moves the state along: an
// action that it returns counts as under way. Asked twice at one time, it has nothing more to do.
func (s *podState) decide(now time.Time) ([]any, time.Time) {
	d := &decision{now: now}
	if (s.life == active || s.life == closing || s.life == finished) && !s.deadline.IsZero() {
		s.life = ending
		d.do(giveUp{})
	}
	if s.life == active {
		s.decideActive(d)
	}
	if s.life == closing {
		s.decideClosing(d)
	}
	if s.life == finished {
		s.decideFinished(d)
	}
	if s.life == ending {
		s.decideEnding(d)
	}
	if s.life == removing {
		s.decideRemoving(d)
	}
	return d.actions, d.wake
}

func (s *podState) decideActive(d *decision) {
	if s.doomed || s.over() || s.expired(d) || s.evict(d) {
		s.close(d)
		return
	}
	if s.setup.progress != done {
		if s.setup.progress == todo && d.due(s.setup.notBefore) {
			s.setup.progress = doing
			d.do(prepare{})
		}
		return
	}
	if s.restartAll(d) {
		return
	}
	s.decideResize(d)
	for _, c := range s.containers {
		s.renew(d, c)
		if c.step == running {
			s.tend(d, c)
		}
		if c.ephemeral {
			s.advance(d, c)
		}
	}
	for i, c := range s.containers {
		if c.ephemeral || c.init && !c.sidecar && c.succeeded() {
			continue
		}
		s.advance(d, c)
		if !s.passes(i) {
			return // one at a time, and the rest after them
		}
	}
}

// passes says whether the containers behind the one at i may start. A sidecar that was up once holds back nobody.
func (s *podState) passes(i int) bool {
	c := s.containers[i]
	switch {
	case !c.init || c.started() && c.sidecar:
		return true
	case !c.sidecar:
		return c.succeeded()
	}
	for _, later := range s.containers[i+1:] {
		if later.attempt >= 0 && !later.anew {
			return true
		}
	}
	return false
}

// Words of a pod that ran for too long.
const (
	reasonDeadlineExceeded  = "DeadlineExceeded"
	deadlineExceededMessage = "Pod was active on the node longer than the specified deadline"
)

// expired says whether the pod's time is up.
func (s *podState) expired(d *decision) bool {
	limit := s.pod.Spec.ActiveDeadlineSeconds
	if limit == nil || !d.due(s.startedAt.Add(time.Duration(*limit)*time.Second)) {
		return false
	}
	s.doomed, s.reason, s.message = true, reasonDeadlineExceeded, deadlineExceededMessage
	d.do(announce{nil, events.Normal(reasonDeadlineExceeded, deadlineExceededMessage)})
	return true
}

// A pod that is evicted has no more than a second left.
const (
	reasonEvicted = "Evicted"
	evictionGrace = time.Second
)

// evict says whether the pod has to go.
func (s *podState) evict(d *decision) bool {
	if s.evicted == "" {
		return false
	}
	s.doomed, s.reason, s.message = true, reasonEvicted, s.evicted
	d.do(announce{nil, events.Warning(reasonEvicted, s.evicted)})
	return true
}

// close ends the pod's active life.
func (s *podState) close(d *decision) {
	if s.idle() {
		s.life = finished
		return
	}
	grace := s.grace()
	if s.evicted != "" {
		grace = min(grace, evictionGrace)
	}
	s.life, s.closeBy = closing, d.now.Add(grace)
	d.do(giveUp{})
}

func (s *podState) decideClosing(d *decision) {
	s.stopAll(d, s.closeBy)
	if s.idle() {
		s.life = finished
	}
}

// over says whether nothing of the pod is to run any more, but for sidecars. Where that is so before its time, the pod's
// reason says why.
func (s *podState) over() bool {
	for _, c := range s.containers {
		switch {
		case c.sidecar, c.ephemeral, c.init && c.succeeded():
		case !s.overForGood(c):
			return false
		case c.init:
			s.reason = fmt.Sprintf("Init container %s failed", c.spec.Name)
			return true
		}
	}
	return true
}

// How long the error of a pull is shown before the back-off is, and how soon a container whose spec could not be
// put together is tried again.
const (
	pullErrorShown = 2 * time.Second
	unsetRetry     = 10 * time.Second
)

// advance takes a container that is not busy one step on, if it is time.
func (s *podState) advance(d *decision, c *containerState) {
	switch c.step {
	case fresh:
		c.pull(d)
	case pullFailed:
		if d.due(c.pulls.grown.Add(pullErrorShown)) {
			c.step = pullBackOff
			image, of := c.spec.Image, c.spec
			if c.lacks != "" { // which is a matter of the pod
				image, of = c.lacks, nil
			}
			c.waiting = pullBackOffWaiting(image, c.waiting)
			d.do(announce{of, events.PullBackOff(image)})
			s.advance(d, c)
		}
	case pulled:
		c.start(d)
	case unset:
		switch {
		case !d.due(c.notBefore):
		case len(c.shown) > 0: // what is wrong may be in the images
			c.pull(d)
		default:
			c.start(d)
		}
	case exited:
		if s.overForGood(c) {
			return
		}
		if d.now.Before(c.notBefore) {
			c.step = crashBackOff
			c.waiting = c.crashWaiting(s.pod)
			d.do(announce{c.spec, events.CrashBackOff(s.pod, c.spec.Name)})
		}
		s.restart(d, c)
	case pullBackOff:
		if d.due(c.notBefore) {
			c.pull(d)
		}
	case crashBackOff:
		s.restart(d, c)
	}
}

func (s *podState) restart(d *decision, c *containerState) {
	if d.due(c.notBefore) {
		c.crashes.grow(d.now)
		c.pull(d)
	}
}

func (c *containerState) pull(d *decision) {
	c.step = pulling
	d.do(pull{c.spec})
}

func (c *containerState) start(d *decision) {
	c.step, c.actual = starting, c.spec.Resources
	d.do(start{c.spec, *c})
}

func (c *containerState) succeeded() bool {
	return c.step == exited && c.exit.ExitCode == 0
}

// decideFinished stops what still runs: runs that were adopted, of a pod that somebody else has called finished.
func (s *podState) decideFinished(d *decision) {
	s.stopAll(d, d.now)
}

func (s *podState) decideEnding(d *decision) {
	s.stopAll(d, s.deadline)
	if s.idle() {
		s.life, s.reported = removing, false // how it ended is still to be told
	}
}

func (s *podState) decideRemoving(d *decision) {
	switch s.removal.progress {
	case todo:
		if (s.reported || s.vanished) && d.due(s.removal.notBefore) {
			s.removal.progress = doing
			d.do(remove{object: !s.vanished})
		}
	case done:
		s.life = gone
	}
}
