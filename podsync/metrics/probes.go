package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Probes are the metrics of probes. They have labels for each container, so they have a page of
// their own, as in a kubelet.
type Probes struct {
	collectors
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// Probed names a probe of a container.
type Probed struct {
	Kind           string // Liveness, Readiness or Startup
	Namespace, Pod string
	UID            string // of the pod
	Container      string
}

// Results of a probe.
const (
	Successful = "successful"
	Failed     = "failed"
	Unknown    = "unknown" // the probe could not be carried out
)

// NewProbes makes the metrics.
func NewProbes() *Probes {
	p := &Probes{}
	p.total = add(&p.collectors, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "prober_probe_total", Help: "Probes of containers, by result.",
	}, []string{"probe_type", "result", "container", "pod", "namespace", "pod_uid"}))
	p.duration = add(&p.collectors, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "prober_probe_duration_seconds", Help: "Time that probes took which did not fail.", Buckets: prometheus.DefBuckets,
	}, []string{"probe_type", "container", "pod", "namespace"}))
	return p
}

// Observe counts a probe.
func (p *Probes) Observe(of Probed, result string, took time.Duration) {
	p.total.WithLabelValues(of.Kind, result, of.Container, of.Pod, of.Namespace, of.UID).Inc()
	if result != Failed { // as the kubelet does
		p.duration.WithLabelValues(of.Kind, of.Container, of.Pod, of.Namespace).Observe(took.Seconds())
	}
}

// Forget removes the series of a pod. The caller must not observe a probe of the pod after that.
func (p *Probes) Forget(namespace, pod, uid string) {
	p.total.DeletePartialMatch(prometheus.Labels{"pod_uid": uid})
	p.duration.DeletePartialMatch(prometheus.Labels{"namespace": namespace, "pod": pod})
}
