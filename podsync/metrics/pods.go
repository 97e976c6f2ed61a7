package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Pods are the metrics of pods, from their start to their end. Names, labels and buckets are the
// kubelet's.
type Pods struct {
	collectors

	WorkerDuration     *prometheus.HistogramVec // by operation_type
	StatusSyncDuration prometheus.Histogram
	StartDuration      prometheus.Histogram
	StartSLIDuration   prometheus.Histogram
	StartTotalDuration prometheus.Histogram
	pullDuration       *prometheus.HistogramVec // by image_size_in_bytes

	StartedPods         prometheus.Counter
	StartedPodErrors    prometheus.Counter
	StartedContainers   *prometheus.CounterVec // by container_type
	ContainerErrors     *prometheus.CounterVec // by container_type and code
	TerminatedContainer *prometheus.CounterVec // by container_type, exit_code and reason
	OOMKills            prometheus.Counter
	DroppedSpans        prometheus.Counter
	Evictions           *prometheus.CounterVec // by eviction_signal

	denied *prometheus.CounterVec // by by, direction and result

	ImageVolumes      prometheus.Counter
	ImageMounts       prometheus.Counter
	ImageMountsFailed prometheus.Counter

	operations         *prometheus.CounterVec // these three by operation_type
	operationDurations *prometheus.HistogramVec
	operationErrors    *prometheus.CounterVec
}

var (
	startBuckets  = []float64{0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600}
	pullBuckets   = []float64{1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600}
	statusBuckets = []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 45, 60}
)

// NewPods makes the metrics. All of them are zero.
func NewPods() *Pods {
	p := &Pods{}
	counter := func(name, help string) prometheus.Counter {
		return add(&p.collectors, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return add(&p.collectors, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return add(&p.collectors, prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}))
	}
	histograms := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return add(&p.collectors, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
	}
	const operation = "operation_type"

	p.WorkerDuration = histograms("kubelet_pod_worker_duration_seconds",
		"Time to decide what to do for a pod, by what made it necessary: create, update or sync.", prometheus.DefBuckets, operation)
	p.StatusSyncDuration = histogram("kubelet_pod_status_sync_duration_seconds",
		"Time from a change of a pod's status until the API server has it.", statusBuckets)
	p.StartDuration = histogram("kubelet_pod_start_duration_seconds",
		"Time from the node seeing a pod for the first time until it runs.", startBuckets)
	p.StartSLIDuration = histogram("kubelet_pod_start_sli_duration_seconds",
		"Time from a pod's creation until a watch shows its containers started, without image pulls and init containers.", startBuckets)
	p.StartTotalDuration = histogram("kubelet_pod_start_total_duration_seconds",
		"Time from a pod's creation until a watch shows its containers started.", startBuckets)
	p.pullDuration = histograms("kubelet_image_pull_duration_seconds", "Time to pull an image.", pullBuckets, "image_size_in_bytes")

	p.StartedPods = counter("kubelet_started_pods_total", "Pods that were set up.")
	p.StartedPodErrors = counter("kubelet_started_pods_errors_total", "Failures to set pods up.")
	p.StartedContainers = counters("kubelet_started_containers_total", "Containers that were asked to start.", "container_type")
	p.ContainerErrors = counters("kubelet_started_containers_errors_total", "Failures to start containers.", "container_type", "code")
	p.TerminatedContainer = counters("kubelet_terminated_containers_total", "Containers that ended.", "container_type", "exit_code", "reason")
	p.DroppedSpans = counter("krustlet_wasi_http_spans_dropped_total", "Requests of HTTP handlers that are missing in traces, because there were too many.")
	p.OOMKills = counter("krustlet_oom_kills_total", "Containers that ended at their memory limit.")

	p.Evictions = counters("kubelet_evictions", "Pods that were evicted because the node was short of something.", "eviction_signal")

	p.denied = counters("krustlet_wasi_network_denied_total",
		"Connections, datagrams and lookups of guests that were refused, or would have been without an audit.", "by", "direction", "result")

	p.ImageVolumes = counter("kubelet_image_volume_requested_total", "Volumes with images that starting containers asked for.")
	p.ImageMounts = counter("kubelet_image_volume_mounted_succeed_total", "Mounts of such volumes that were made.")
	p.ImageMountsFailed = counter("kubelet_image_volume_mounted_errors_total", "Mounts of such volumes that could not be made.")

	p.operations = counters("kubelet_runtime_operations_total", "Operations of the runtime.", operation)
	p.operationDurations = histograms("kubelet_runtime_operations_duration_seconds",
		"Time that operations of the runtime took.", prometheus.ExponentialBuckets(.005, 2.5, 14), operation)
	p.operationErrors = counters("kubelet_runtime_operations_errors_total", "Operations of the runtime that failed.", operation)
	return p
}

// Operation counts an operation of the runtime that began at that time and ends now.
func (p *Pods) Operation(name string, began time.Time, err error) {
	p.operations.WithLabelValues(name).Inc()
	p.operationDurations.WithLabelValues(name).Observe(time.Since(began).Seconds())
	if err != nil {
		p.operationErrors.WithLabelValues(name).Inc()
	}
}

// Denied counts what the network has refused.
func (p *Pods) Denied(d runtime.Denial) {
	by, direction, result := "egress", "egress", "denied"
	switch d.By {
	case runtime.ByLimit:
		by = "limit"
	case runtime.ByPolicy:
		by = "policy"
	}
	if d.Ingress {
		direction = "ingress"
	}
	if d.Audited {
		result = "audited"
	}
	p.denied.WithLabelValues(by, direction, result).Add(float64(d.Times))
}

// Pulled counts a pulled image, by its size in bytes.
func (p *Pods) Pulled(size int64, took time.Duration) {
	p.pullDuration.WithLabelValues(sizeClass(size)).Observe(took.Seconds())
}

// sizeClass is the kubelet's label for the size of an image.
func sizeClass(size int64) string {
	const mega, giga = 1 << 20, 1 << 30
	for _, class := range []struct {
		below int64
		name  string
	}{
		{10 * mega, "0-10MB"}, {100 * mega, "10MB-100MB"}, {500 * mega, "100MB-500MB"}, {giga, "500MB-1GB"},
		{5 * giga, "1GB-5GB"}, {10 * giga, "5GB-10GB"}, {20 * giga, "10GB-20GB"}, {30 * giga, "20GB-30GB"},
		{40 * giga, "30GB-40GB"}, {60 * giga, "40GB-60GB"}, {100 * giga, "60GB-100GB"},
	} {
		if size < class.below {
			return class.name
		}
	}
	return "GT100GB"
}

// collectors are several collectors as one.
type collectors []prometheus.Collector

func add[C prometheus.Collector](all *collectors, c C) C {
	*all = append(*all, c)
	return c
}

// Describe implements prometheus.Collector.
func (all collectors) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range all {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (all collectors) Collect(ch chan<- prometheus.Metric) {
	for _, c := range all {
		c.Collect(ch)
	}
}
