package life

import (
	"fmt"
	"time"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// decision is the work of one call of Decide. It changes the state and collects actions.
type decision struct {
	*Pod
	now     time.Time
	actions []Action
	wake    time.Time // zero if only an event can change anything
}

func (d *decision) do(a Action) { d.actions = append(d.actions, a) }

func (d *decision) wakeAt(t time.Time) {
	if d.wake.IsZero() || t.Before(d.wake) {
		d.wake = t
	}
}

// due reports whether the time t has come. If it has not, Decide is called again at t.
func (d *decision) due(t time.Time) bool {
	if !d.now.Before(t) {
		return true
	}
	d.wakeAt(t)
	return false
}

// Decide returns what to do at now, and when to call Decide again if nothing happens. It changes
// the state: it assumes that the caller carries out the actions. A second call at the same time
// returns no actions.
func (s *Pod) Decide(now time.Time) ([]Action, time.Time) {
	d := &decision{Pod: s, now: now}
	if (s.stage == Active || s.stage == Closing || s.stage == Terminal) && !s.deadline.IsZero() {
		s.stage = Ending
		d.do(GiveUp{})
	}
	if s.stage == Active {
		d.active()
	}
	if s.stage == Closing {
		d.closing()
	}
	// If a guest still runs here, it was adopted, and another client made the pod terminal.
	if s.stage == Terminal {
		d.stopAll(d.now)
	}
	if s.stage == Ending {
		d.ending()
	}
	if s.stage == Removing {
		d.removing()
	}
	return d.actions, d.wake
}

func (d *decision) active() {
	if d.verdict != none || d.allEnded() || d.expire() || d.evict() {
		d.close()
		return
	}
	if !d.setup.IsComplete() {
		if d.setup.progress == pending && d.due(d.setup.notBefore) {
			d.setup.progress = underWay
			d.do(Prepare{})
		}
		return
	}
	if d.restartAll() {
		return
	}
	d.resize()
	for _, c := range d.containers {
		d.renew(c)
		if c.step == running {
			d.tend(c)
		}
		if c.kind == podspec.Ephemeral {
			d.advance(c)
		}
	}
	for i, c := range d.containers {
		if c.kind == podspec.Ephemeral || c.passed() {
			continue
		}
		d.advance(c)
		if !d.passes(i) {
			return // init containers run one at a time, and the others after them
		}
	}
}

// passes reports whether the containers after the one at i may start. A sidecar delays them only
// until it has been up once.
func (s *Pod) passes(i int) bool {
	c := s.containers[i]
	switch {
	case !c.kind.IsInit() || c.kind == podspec.Sidecar && c.started():
		return true
	case c.kind == podspec.Init:
		return c.succeeded()
	}
	for _, later := range s.containers[i+1:] {
		if later.attempt >= 0 && !later.startsOver {
			return true
		}
	}
	return false
}

// Reason and message of a pod whose time is up.
const (
	reasonDeadlineExceeded  = "DeadlineExceeded"
	deadlineExceededMessage = "Pod was active on the node longer than the specified deadline"
)

// expire sets the verdict of a pod whose time is up. It reports whether the time is up.
func (d *decision) expire() bool {
	limit := d.pod.Spec.ActiveDeadlineSeconds
	if limit == nil || !d.due(d.startedAt.Add(time.Duration(*limit)*time.Second)) {
		return false
	}
	d.pass(expired, reasonDeadlineExceeded, deadlineExceededMessage)
	d.do(Announce{nil, events.Normal(reasonDeadlineExceeded, deadlineExceededMessage)})
	return true
}

// A pod that is evicted has at most one second left.
const (
	ReasonEvicted = "Evicted"
	evictionGrace = time.Second
)

// evict sets the verdict of a pod that must be evicted. It reports whether the pod must.
func (d *decision) evict() bool {
	if d.notice.verdict == none {
		return false
	}
	d.pass(d.notice.verdict, ReasonEvicted, d.notice.message)
	d.do(Announce{nil, events.Warning(ReasonEvicted, d.notice.message)})
	return true
}

// close ends the stage Active.
func (d *decision) close() {
	if d.idle() {
		d.stage = Terminal
		return
	}
	grace := d.grace()
	if d.notice.verdict != none {
		grace = min(grace, evictionGrace)
	}
	d.stage, d.closeBy = Closing, d.now.Add(grace)
	d.do(GiveUp{})
}

func (d *decision) closing() {
	d.stopAll(d.closeBy)
	if d.idle() {
		d.stage = Terminal
	}
}

func (d *decision) ending() {
	d.stopAll(d.deadline)
	if d.idle() {
		d.stage, d.reported = Removing, false // the API server must have the final status first
	}
}

func (d *decision) removing() {
	switch d.removal.progress {
	case pending:
		if (d.reported || d.vanished) && d.due(d.removal.notBefore) {
			d.removal.progress = underWay
			d.do(Remove{Object: !d.vanished})
		}
	case complete:
		d.stage = Absent
	}
}

// allEnded reports whether all containers have ended and none will run again. Sidecars and
// ephemeral containers do not count. If an init container failed, no later container runs, and the
// pod's reason names the failed one.
func (s *Pod) allEnded() bool {
	for _, c := range s.containers {
		switch {
		case c.kind == podspec.Sidecar, c.kind == podspec.Ephemeral, c.passed():
		case !s.staysEnded(c):
			return false
		case c.kind == podspec.Init:
			s.reason = fmt.Sprintf("Init container %s failed", c.spec.Name)
			return true
		}
	}
	return true
}

// pullErrorShown is how long a status shows the error of a pull before it shows the back-off.
// unsetRetry is the delay before the next try of a start that the spec of the container made
// impossible.
const (
	pullErrorShown = 2 * time.Second
	unsetRetry     = 10 * time.Second
)

// advance moves a container one step further if it is not busy and the time has come.
func (d *decision) advance(c *container) {
	switch c.step {
	case fresh:
		c.pull(d)
	case pullFailed:
		if d.due(c.pulls.grown.Add(pullErrorShown)) {
			c.step = pullBackOff
			image, of := c.spec.Image, c.spec
			if c.image.lacks != "" { // the event belongs to the pod
				image, of = c.image.lacks, nil
			}
			c.waiting = pullBackOffWaiting(image, c.waiting)
			d.do(Announce{of, events.PullBackOff(image)})
			d.advance(c)
		}
	case pulled:
		c.start(d)
	case unset:
		switch {
		case !d.due(c.notBefore):
		case c.image.others: // the cause may be in the images
			c.pull(d)
		default:
			c.start(d)
		}
	case ended:
		if d.staysEnded(c) {
			return
		}
		if d.now.Before(c.notBefore) {
			c.step = crashBackOff
			c.waiting = c.crashWaiting(d.pod)
			d.do(Announce{c.spec, events.CrashBackOff(d.pod, c.spec.Name)})
		}
		d.restart(c)
	case pullBackOff:
		if d.due(c.notBefore) {
			c.pull(d)
		}
	case crashBackOff:
		d.restart(c)
	}
}

func (d *decision) restart(c *container) {
	if d.due(c.notBefore) {
		c.crashes.grow(d.now)
		c.pull(d)
	}
}

func (c *container) pull(d *decision) {
	c.step = pulling
	d.do(Pull{c.spec})
}

func (c *container) start(d *decision) {
	c.step, c.size.actual = starting, c.spec.Resources
	d.do(Start{c.spec, c.attempt + 1})
}
