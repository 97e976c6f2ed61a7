package podsync

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/metrics"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// measures has the times of a pod for its metrics. The pod loop owns it.
type measures struct {
	metrics *metrics.Pods
	// seen is when this agent first saw the pod. It is zero if an earlier agent began the pod, or
	// if the pod has started.
	seen time.Time
	// created is when the pod was created, for a pod whose seen was set. It is zero after a watch
	// has shown that its containers have started.
	created time.Time

	pulls   int           // how many pulls are under way
	since   time.Time     // when the first of these pulls began
	pulling time.Duration // the time of earlier pulls

	// stale is the time since which the API server's status differs from the pod's. It is zero if
	// they are equal.
	stale time.Time
}

// newMeasures makes the measures of a pod that this agent sees now.
func newMeasures(m *metrics.Pods, s *life.Pod, adopted adoption, now time.Time) measures {
	begun := s.WasSetUp() || s.Stage() != life.Active || len(adopted.running)+len(adopted.ended) > 0
	for _, r := range s.LastRuns() {
		begun = begun || r.Attempt >= 0
	}
	if begun {
		return measures{metrics: m}
	}
	return measures{metrics: m, seen: now, created: s.Object().CreationTimestamp.Time}
}

// pullBegins and pullEnds add up the time in which at least one image was pulled.
func (m *measures) pullBegins(now time.Time) {
	if m.pulls++; m.pulls == 1 {
		m.since = now
	}
}

func (m *measures) pullEnds(now time.Time) {
	if m.pulls--; m.pulls == 0 {
		m.pulling += now.Sub(m.since)
	}
}

// status notes the pod's status, and whether the API server has it. It reports whether the pod has
// just begun to run, or can never run any more.
func (m *measures) status(status *corev1.PodStatus, written bool, now time.Time) (begun bool) {
	switch {
	case !written && m.stale.IsZero():
		m.stale = now
	case written && !m.stale.IsZero():
		m.metrics.StatusSyncDuration.Observe(now.Sub(m.stale).Seconds())
		m.stale = time.Time{}
	}
	if m.seen.IsZero() || status.Phase == corev1.PodPending || status.Phase == "" {
		return false
	}
	if status.Phase == corev1.PodRunning {
		m.metrics.StartDuration.Observe(now.Sub(m.seen).Seconds())
	}
	m.seen = time.Time{}
	return true
}

// watched notes the pod's object from a watch.
func (m *measures) watched(pod *corev1.Pod, now time.Time) {
	if m.created.IsZero() || len(pod.Status.ContainerStatuses) == 0 {
		return
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running == nil {
			return
		}
	}
	took := now.Sub(m.created)
	m.metrics.StartTotalDuration.Observe(max(took, 0).Seconds())
	if !volume.Stateful(pod) {
		m.metrics.StartSLIDuration.Observe(max(took-m.pulling-initTime(pod), 0).Seconds())
	}
	m.created = time.Time{}
}

// initTime is how long the pod's init containers ran.
func initTime(pod *corev1.Pod) time.Duration {
	var sum time.Duration
	for _, c := range pod.Status.InitContainerStatuses {
		if t := c.State.Terminated; t != nil {
			sum += max(t.FinishedAt.Sub(t.StartedAt.Time), 0)
		}
	}
	return sum
}

// ended counts the end of a container's run.
func (m *measures) ended(kind string, exit runtime.Exit, run life.Run) {
	code := "other"
	// A guest may end with any number. It must not be able to make a label for each.
	if exit.Code >= 0 && exit.Code <= 255 {
		code = strconv.Itoa(int(exit.Code))
	}
	m.metrics.TerminatedContainer.WithLabelValues(kind, code, string(exit.Reason)).Inc()
	if exit.Reason == runtime.OOMKilled {
		m.metrics.OOMKills.Inc()
	}
	if !run.StoppedAt.IsZero() {
		m.metrics.Operation("stop_container", run.StoppedAt, nil)
	}
}

// kindLabel is the label in metrics for the kind of a container.
func kindLabel(pod *corev1.Pod, container string) string {
	switch k := podspec.KindOf(pod, container); {
	case k.IsInit():
		return "init_container"
	case k == podspec.Ephemeral:
		return "ephemeral_container"
	}
	return "container"
}

// These are labels in metrics. They say why a pod loop looks at its pod.
const (
	causeCreate = "create"
	causeUpdate = "update"
	causeSync   = "sync"
)
