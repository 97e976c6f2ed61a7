package podsync

import (
	"fmt"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	corev1 "k8s.io/api/core/v1"
)

// hookKind is one of a container's lifecycle hooks.
type hookKind string

const (
	postStart hookKind = "PostStart"
	preStop   hookKind = "PreStop"
)

// hook carries out a lifecycle hook. Result: hookDone.
type hook struct {
	container *corev1.Container
	id        string // of the run
	kind      hookKind
}

// hookDone is the end of a hook; err says why it failed.
type hookDone struct {
	container string
	id        string
	kind      hookKind
	err       error
}

func hookOf(c *corev1.Container, k hookKind) *corev1.LifecycleHandler {
	switch {
	case c.Lifecycle == nil:
		return nil
	case k == postStart:
		return c.Lifecycle.PostStart
	default:
		return c.Lifecycle.PreStop
	}
}

// overtime is what a guest gets whose grace period was used up while it waited for its hook, or for others to end.
const overtime = 2 * time.Second

func (c *containerState) applyHook(e hookDone) {
	if c.step != running || c.id != e.id {
		return // of a run that has ended
	}
	switch e.kind {
	case postStart:
		c.postStart, c.hookErr = done, e.err
	case preStop:
		c.preStop = done
	}
}

// settling says whether the container's run does not count as running yet: its postStart hook goes on, or has failed.
func (c *containerState) settling() bool {
	return c.step == running && (c.postStart == doing || c.hookErr != nil)
}

// tend does for a guest that runs what is to be done while it does.
func (s *podState) tend(d *decision, c *containerState) {
	if c.postStart == todo && c.stopBy.IsZero() {
		c.postStart = done
		if hookOf(c.spec, postStart) != nil {
			c.postStart = doing
			d.do(hook{c.spec, c.id, postStart})
		}
	}
	if kind, is := c.unwell(); is {
		c.quit(d, d.now.Add(s.graceAfter(c, kind)), s.eventUnwell(c, kind))
	}
	if c.hookErr != nil {
		c.quit(d, d.now.Add(s.grace()), events.HookKills())
	}
	c.conclude(d, true)
	c.decideProbes(d)
}

// grace is how long a guest may take to end, where nothing else says so.
func (s *podState) grace() time.Duration {
	if g := s.pod.Spec.TerminationGracePeriodSeconds; g != nil {
		return time.Duration(max(0, *g)) * time.Second
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}

// graceAfter is how long a guest may take to end after a probe has failed.
func (s *podState) graceAfter(c *containerState, kind probeKind) time.Duration {
	if g := probeOf(c.spec, kind).TerminationGracePeriodSeconds; g != nil {
		return time.Duration(max(0, *g)) * time.Second
	}
	return s.grace()
}

// eventUnwell says why a container is killed, and whether it comes again.
func (s *podState) eventUnwell(c *containerState, kind probeKind) events.Event {
	what := strings.ToLower(kind.String())
	switch {
	case c.sidecar:
		return events.Killing(fmt.Sprintf("Init container %s failed %s probe", c.spec.Name, what))
	case s.policy(c) == corev1.RestartPolicyNever:
		return events.Killing(fmt.Sprintf("Container %s failed %s probe", c.spec.Name, what))
	default:
		return events.Killing(fmt.Sprintf("Container %s failed %s probe, will be restarted", c.spec.Name, what))
	}
}

// quit has a container's guest end by then. Asked again, it only brings the end forward.
func (c *containerState) quit(d *decision, by time.Time, why events.Event) {
	if c.step != running || !c.stopBy.IsZero() && !by.Before(c.stopBy) {
		return
	}
	if c.stopBy.IsZero() {
		d.do(announce{c.spec, why})
		c.quitAt = d.now
	}
	c.stopBy = by
}

// conclude takes a guest that is to end on its way there. Its preStop hook comes first, and then it waits for its turn; both
// take their time from the grace period.
func (c *containerState) conclude(d *decision, turn bool) {
	if c.step != running || c.stopBy.IsZero() {
		return
	}
	over := !d.now.Before(c.stopBy)
	if c.preStop == todo && !over && hookOf(c.spec, preStop) != nil {
		c.preStop = doing
		d.do(hook{c.spec, c.id, preStop})
	}
	waits := c.preStop == doing || !turn
	if waits && !d.due(c.stopBy) {
		return
	}
	if !c.askedBy.IsZero() && !c.stopBy.Before(c.askedBy) {
		return
	}
	grace := max(0, c.stopBy.Sub(d.now))
	if waits && c.stopBy.After(c.quitAt) {
		grace = overtime
	}
	c.askedBy = c.stopBy
	d.do(stop{c.spec.Name, grace})
}

// stopAll has every guest of the pod end by then: sidecars after all else, the last of them first.
func (s *podState) stopAll(d *decision, by time.Time) {
	for i, c := range s.containers {
		c.quit(d, by, events.Stopping(c.spec.Name))
		c.conclude(d, !c.sidecar || !s.needed(i))
		c.decideProbes(d)
	}
}

// needed says whether a container runs that a sidecar outlives: all that come after it, and none of the init containers.
func (s *podState) needed(sidecar int) bool {
	for _, c := range s.containers[sidecar+1:] {
		if c.busy() && (c.sidecar || !c.init) {
			return true
		}
	}
	return false
}

// idle says whether nothing of the pod is under way.
func (s *podState) idle() bool {
	for _, c := range s.containers {
		if c.busy() {
			return false
		}
	}
	return s.setup.progress != doing
}
