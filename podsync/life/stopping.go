package life

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// HookKind is one of a container's lifecycle hooks.
type HookKind string

const (
	PostStart HookKind = "PostStart"
	PreStop   HookKind = "PreStop"
)

// HookEnded is the end of a hook. Err says why it failed.
type HookEnded struct {
	Container string
	ID        string
	Kind      HookKind
	Err       error
}

func HookOf(c *corev1.Container, k HookKind) *corev1.LifecycleHandler {
	switch {
	case c.Lifecycle == nil:
		return nil
	case k == PostStart:
		return c.Lifecycle.PostStart
	default:
		return c.Lifecycle.PreStop
	}
}

// overtime is the time that a guest gets if its hook, or the wait for other guests, used up the
// grace period.
const overtime = 2 * time.Second

func (e HookEnded) apply(s *Pod, _ time.Time) {
	c := s.find(e.Container)
	if c.step != running || c.id != e.ID {
		return // of an earlier run
	}
	switch e.Kind {
	case PostStart:
		c.postStart, c.hookErr = complete, e.Err
	case PreStop:
		c.preStop = complete
	}
}

// settling reports whether the container's run does not count as running yet: its postStart hook
// still runs, or has failed.
func (c *container) settling() bool {
	return c.step == running && (c.postStart == underWay || c.hookErr != nil)
}

// tend decides what a running guest needs: hooks, probes and resizes.
func (d *decision) tend(c *container) {
	if c.postStart == pending && c.stop.by.IsZero() {
		c.postStart = complete
		if HookOf(c.spec, PostStart) != nil {
			c.postStart = underWay
			d.do(Hook{c.spec, c.id, PostStart})
		}
	}
	if kind, is := c.failedProbe(); is {
		c.quit(d, d.now.Add(d.graceAfter(c, kind)), d.eventUnwell(c, kind))
	}
	if c.hookErr != nil {
		c.quit(d, d.now.Add(d.grace()), events.HookKills())
	}
	c.conclude(d, true)
	c.decideProbes(d)
}

// grace is the time that a guest has to end by default.
func (s *Pod) grace() time.Duration {
	if g := s.pod.Spec.TerminationGracePeriodSeconds; g != nil {
		return time.Duration(max(0, *g)) * time.Second
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}

// graceAfter is the time that a guest has to end after a probe has failed.
func (s *Pod) graceAfter(c *container, kind ProbeKind) time.Duration {
	if g := ProbeOf(c.spec, kind).TerminationGracePeriodSeconds; g != nil {
		return time.Duration(max(0, *g)) * time.Second
	}
	return s.grace()
}

// eventUnwell is the event that says why a container is killed and whether it runs again.
func (s *Pod) eventUnwell(c *container, kind ProbeKind) events.Event {
	what := strings.ToLower(kind.String())
	switch {
	case c.kind == podspec.Sidecar:
		return events.Killing(fmt.Sprintf("Init container %s failed %s probe", c.spec.Name, what))
	case s.policy(c) == corev1.RestartPolicyNever:
		return events.Killing(fmt.Sprintf("Container %s failed %s probe", c.spec.Name, what))
	default:
		return events.Killing(fmt.Sprintf("Container %s failed %s probe, will be restarted", c.spec.Name, what))
	}
}

// stopping is the state of a run that must end.
type stopping struct {
	by      time.Time // when the guest must have ended; zero if it need not end
	decided time.Time // when the machine decided that
	asked   time.Time // the value of by that the engine got; zero before that
}

// quit makes a container's guest end at the time by. A second call can only make the end earlier.
func (c *container) quit(d *decision, by time.Time, why events.Event) {
	if c.step != running || !c.stop.by.IsZero() && !by.Before(c.stop.by) {
		return
	}
	if c.stop.by.IsZero() {
		d.do(Announce{c.spec, why})
		c.stop.decided = d.now
	}
	c.stop.by = by
}

// conclude brings a guest that must end nearer to its end. First its preStop hook runs. Then the
// guest waits for its turn. Both take from the grace period.
func (c *container) conclude(d *decision, turn bool) {
	if c.step != running || c.stop.by.IsZero() {
		return
	}
	late := !d.now.Before(c.stop.by)
	if c.preStop == pending && !late && HookOf(c.spec, PreStop) != nil {
		c.preStop = underWay
		d.do(Hook{c.spec, c.id, PreStop})
	}
	waits := c.preStop == underWay || !turn
	if waits && !d.due(c.stop.by) {
		return
	}
	if !c.stop.asked.IsZero() && !c.stop.by.Before(c.stop.asked) {
		return
	}
	grace := max(0, c.stop.by.Sub(d.now))
	if waits && c.stop.by.After(c.stop.decided) {
		grace = overtime
	}
	c.stop.asked = c.stop.by
	d.do(Stop{c.spec.Name, grace})
}

// stopAll makes every guest of the pod end at the time by. Sidecars end after all others, and the
// last sidecar first.
func (d *decision) stopAll(by time.Time) {
	for i, c := range d.containers {
		c.quit(d, by, events.Stopping(c.spec.Name))
		c.conclude(d, c.kind != podspec.Sidecar || !d.needed(i))
		c.decideProbes(d)
	}
}

// needed reports whether a sidecar must still run, because a later container runs. Init containers
// do not count.
func (s *Pod) needed(sidecar int) bool {
	for _, c := range s.containers[sidecar+1:] {
		if c.busy() && c.kind != podspec.Init {
			return true
		}
	}
	return false
}

// idle reports whether the pod has no action that is not complete.
func (s *Pod) idle() bool {
	for _, c := range s.containers {
		if c.busy() {
			return false
		}
	}
	return s.setup.progress != underWay
}
