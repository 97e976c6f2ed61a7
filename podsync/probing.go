package podsync

import (
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// probeKind is what a probe is asked for.
type probeKind int

const (
	startup   probeKind = iota // whether the container is up; until then no other probe is done
	liveness                   // whether it is to be restarted
	readiness                  // whether it is to be given work
	probeKinds
)

// String is how events begin.
func (k probeKind) String() string { return [...]string{"Startup", "Liveness", "Readiness"}[k] }

// verdict is what enough probes in a row have found.
type verdict string

const (
	unknown verdict = "" // not enough yet
	passed  verdict = "passed"
	failed  verdict = "failed"
)

// probeState is where one of the probes of a run stands.
type probeState struct {
	busy    bool      // one is under way
	due     time.Time // when the next one begins; zero: as soon as it may
	ok      bool      // what the last one found,
	streak  int32     // and how many in a row have
	verdict verdict
}

// probed is the result of a probe: whether all is well, or err if that could not be found out.
type probed struct {
	container string
	id        string // of the run
	kind      probeKind
	ok        bool
	err       error
}

// ask does a probe. Result: probed.
type ask struct {
	container *corev1.Container
	id        string
	kind      probeKind
}

// probeSettles is how long a guest has at least, before the first probe, to come up: a probe that fails makes an event.
const probeSettles = 200 * time.Millisecond

// Defaults of a probe's numbers, which the API server fills in.
const (
	defaultPeriod           = 10
	defaultTimeout          = 1
	defaultFailureThreshold = 3
	defaultSuccessThreshold = 1
)

func orDefault(n, otherwise int32) int32 {
	if n > 0 {
		return n
	}
	return otherwise
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

func probeOf(c *corev1.Container, k probeKind) *corev1.Probe {
	return [...]*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe}[k]
}

// decideProbes begins the probes that are due.
func (c *containerState) decideProbes(d *decision) {
	for k := range probeKinds {
		spec, p := probeOf(c.spec, k), &c.probes[k]
		if spec == nil || p.busy || !c.wants(k) {
			continue
		}
		due := c.begun.Add(max(probeSettles, seconds(spec.InitialDelaySeconds)))
		if p.due.After(due) {
			due = p.due
		}
		if d.due(due) {
			p.busy = true
			p.due = d.now.Add(seconds(orDefault(spec.PeriodSeconds, defaultPeriod)))
			d.do(ask{c.spec, c.id, k})
		}
	}
}

// wants says whether a probe of that kind can change anything now.
func (c *containerState) wants(k probeKind) bool {
	switch k {
	case startup:
		return c.probes[k].verdict == unknown && c.stopBy.IsZero() && c.step == running && c.postStart == done && c.hookErr == nil
	case liveness:
		return c.probes[k].verdict != failed && c.stopBy.IsZero() && c.started()
	default:
		return c.started()
	}
}

// started says whether the container is up, as far as anybody can tell.
func (c *containerState) started() bool {
	return c.step == running && c.postStart == done && c.hookErr == nil && (c.spec.StartupProbe == nil || c.probes[startup].verdict == passed)
}

// ready says whether the container can be given work.
func (c *containerState) ready() bool {
	if c.init && !c.sidecar {
		return c.succeeded()
	}
	return c.started() && (c.spec.ReadinessProbe == nil || c.probes[readiness].verdict == passed)
}

func (c *containerState) applyProbe(e probed) {
	if c.step != running || c.id != e.id {
		return // of a run that has ended
	}
	p, spec := &c.probes[e.kind], probeOf(c.spec, e.kind)
	p.busy = false
	if e.err != nil || spec == nil {
		return
	}
	if p.ok != e.ok {
		p.ok, p.streak = e.ok, 0
	}
	p.streak++
	switch {
	case e.ok && p.streak >= orDefault(spec.SuccessThreshold, defaultSuccessThreshold):
		p.verdict = passed
	case !e.ok && p.streak >= orDefault(spec.FailureThreshold, defaultFailureThreshold):
		p.verdict = failed
	}
}

// unwell says which probe has found that the container is to be restarted.
func (c *containerState) unwell() (probeKind, bool) {
	for _, k := range []probeKind{liveness, startup} {
		if c.probes[k].verdict == failed {
			return k, true
		}
	}
	return 0, false
}

// restoreProbes takes over what a status says of the run that goes on: it is as ready as it was until a probe finds
// otherwise. The next probes are spread over their periods, or those of all pods would begin together with the agent.
func (c *containerState) restoreProbes(status *corev1.ContainerStatus, uid string, now time.Time) {
	c.postStart = done
	if status.Started != nil && *status.Started {
		c.probes[startup].verdict = passed
	}
	if status.Ready {
		c.probes[readiness].verdict = passed
	}
	for k := range probeKinds {
		if spec := probeOf(c.spec, k); spec != nil {
			period := seconds(orDefault(spec.PeriodSeconds, defaultPeriod))
			c.probes[k].due = now.Add(fraction(period, uid, c.spec.Name, k.String()))
		}
	}
}

// fraction is a part of a duration, always the same for the same words.
func fraction(of time.Duration, words ...string) time.Duration {
	h := fnv.New32a()
	for _, word := range words {
		_, _ = h.Write([]byte(word)) // never fails
	}
	return time.Duration(float64(of) * float64(h.Sum32()) / (1 << 32))
}
