package life

import (
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// ProbeKind is what a probe asks.
type ProbeKind int

const (
	Startup   ProbeKind = iota // whether the container is up; no other probe begins until it is
	Liveness                   // whether it must be restarted
	Readiness                  // whether it can serve requests
	probeKinds
)

// String is the word with which events begin.
func (k ProbeKind) String() string { return [...]string{"Startup", "Liveness", "Readiness"}[k] }

// finding is the result that enough probes in a row have had.
type finding string

const (
	unknown finding = "" // not enough probes yet
	well    finding = "well"
	unwell  finding = "unwell"
)

// probeState is the state of one of the probes of a run.
type probeState struct {
	busy    bool      // a probe goes on
	due     time.Time // when the next one begins; zero: as soon as possible
	ok      bool      // the result of the last one
	streak  int32     // how many in a row had this result
	finding finding
}

// Probed is the result of a probe: OK if the container is well, or Err if that could not be found
// out.
type Probed struct {
	Container string
	ID        string // of the run
	Kind      ProbeKind
	OK        bool
	Err       error
}

// probeSettles is the least time between the start of a guest and its first probe. Without it, the
// first probe would often fail, and each failure makes an event.
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

// ProbeTimeout is the most time that a probe may take.
func ProbeTimeout(spec *corev1.Probe) time.Duration {
	return seconds(orDefault(spec.TimeoutSeconds, defaultTimeout))
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

func ProbeOf(c *corev1.Container, k ProbeKind) *corev1.Probe {
	return [...]*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe}[k]
}

// decideProbes begins the probes that are due.
func (c *container) decideProbes(d *decision) {
	for k := range probeKinds {
		spec, p := ProbeOf(c.spec, k), &c.probes[k]
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
			d.do(Ask{c.spec, c.id, k})
		}
	}
}

// wants reports whether a probe of that kind can change anything now.
func (c *container) wants(k ProbeKind) bool {
	switch k {
	case Startup:
		return c.probes[k].finding == unknown && c.stop.by.IsZero() && c.step == running && c.postStart == complete && c.hookErr == nil
	case Liveness:
		return c.probes[k].finding != unwell && c.stop.by.IsZero() && c.started()
	default:
		return c.started()
	}
}

// started reports whether the container is up according to its probes.
func (c *container) started() bool {
	return c.step == running && c.postStart == complete && c.hookErr == nil && (c.spec.StartupProbe == nil || c.probes[Startup].finding == well)
}

// ready reports whether the container can serve requests.
func (c *container) ready() bool {
	if c.kind == podspec.Init {
		return c.succeeded()
	}
	return c.started() && (c.spec.ReadinessProbe == nil || c.probes[Readiness].finding == well)
}

func (e Probed) apply(s *Pod, _ time.Time) {
	c := s.find(e.Container)
	if c.step != running || c.id != e.ID {
		return // of an earlier run
	}
	p, spec := &c.probes[e.Kind], ProbeOf(c.spec, e.Kind)
	p.busy = false
	if e.Err != nil || spec == nil {
		return
	}
	if p.ok != e.OK {
		p.ok, p.streak = e.OK, 0
	}
	p.streak++
	switch {
	case e.OK && p.streak >= orDefault(spec.SuccessThreshold, defaultSuccessThreshold):
		p.finding = well
	case !e.OK && p.streak >= orDefault(spec.FailureThreshold, defaultFailureThreshold):
		p.finding = unwell
	}
}

// failedProbe finds a probe that has failed so often that the container must be restarted.
func (c *container) failedProbe() (ProbeKind, bool) {
	for _, k := range []ProbeKind{Liveness, Startup} {
		if c.probes[k].finding == unwell {
			return k, true
		}
	}
	return 0, false
}

// restoreProbes restores the probes of a run from a status. The container stays as ready as it was,
// until a probe finds otherwise. The next probes are spread over their periods: otherwise the
// probes of all pods would begin at the same time as the agent.
func (c *container) restoreProbes(status *corev1.ContainerStatus, uid string, now time.Time) {
	c.postStart = complete
	if status.Started != nil && *status.Started {
		c.probes[Startup].finding = well
	}
	if status.Ready {
		c.probes[Readiness].finding = well
	}
	for k := range probeKinds {
		if spec := ProbeOf(c.spec, k); spec != nil {
			period := seconds(orDefault(spec.PeriodSeconds, defaultPeriod))
			c.probes[k].due = now.Add(fraction(period, uid, c.spec.Name, k.String()))
		}
	}
}

// fraction is a part of a duration. For the same words it is always the same part.
func fraction(of time.Duration, words ...string) time.Duration {
	h := fnv.New32a()
	for _, word := range words {
		_, _ = h.Write([]byte(word)) // a hash never returns an error
	}
	return time.Duration(float64(of) * float64(h.Sum32()) / (1 << 32))
}
