package scrape

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// Stats returns what the node and its pods use: counters, and no rates.
type Stats interface {
	// NodeStats is what the node uses. With disks, it includes disks and networks.
	NodeStats(ctx context.Context, disks bool) (stats.NodeStats, error)
	// PodStats is what each running pod uses, in a constant order. It includes their networks. With
	// disks, it includes disks as far as that is known.
	PodStats(ctx context.Context, disks bool) []stats.PodStats
	// ClaimStats is how full the volumes of claims are. If several pods mount a volume, it has the
	// volume several times.
	ClaimStats() []stats.VolumeStats
}

// scrapeTime limits how long one scrape waits for Stats.
const scrapeTime = 5 * time.Second

// page sends what the node, its pods and their containers use. It implements prometheus.Collector.
type page struct {
	stats  Stats
	log    *zap.Logger
	failed *prometheus.Desc   // 1 if the use of the node is not known, else 0
	descs  []*prometheus.Desc // all others
	begin  func() senders     // called once for each scrape
}

// senders send the metrics of one scrape.
type senders struct {
	node func(sink, stats.NodeStats)
	pod  func(sink, stats.PodStats) // the pod and its containers
}

// gatherer gathers only the page.
func (p page) gatherer() prometheus.Gatherer {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(p)
	return registry
}

// Describe implements prometheus.Collector.
func (p page) Describe(ch chan<- *prometheus.Desc) {
	ch <- p.failed
	for _, d := range p.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p page) Collect(ch chan<- prometheus.Metric) {
	// The interface passes no context.
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	to, failed := sink(ch), 0.0
	node, err := p.stats.NodeStats(ctx, false)
	if err != nil {
		p.log.Error("cannot tell what the node uses", zap.Error(err))
		failed = 1
	}
	to <- prometheus.MustNewConstMetric(p.failed, prometheus.GaugeValue, failed)
	send := p.begin()
	send.node(to, node)
	for _, pod := range distinct(p.stats.PodStats(ctx, false)) {
		send.pod(to, pod)
	}
}

// distinct leaves one pod of each name. While a pod terminates, its successor may already have its
// name.
func distinct(pods []stats.PodStats) []stats.PodStats {
	told := map[[2]string]bool{}
	return slices.DeleteFunc(pods, func(pod stats.PodStats) bool {
		name := [2]string{pod.PodRef.Namespace, pod.PodRef.Name}
		again := told[name]
		told[name] = true
		return again
	})
}

// family is the metrics of the use of processors and memory, of the machine, a pod or a container.
// A metric that the page does not have is nil.
type family struct {
	cpu, working, memory, start *prometheus.Desc
	cpuLabels                   []string // before the other labels
}

// send sends a use of processors and memory, and when its user started.
func (f family) send(to sink, cpu *stats.CPUStats, memory *stats.MemoryStats, started metav1.Time, labels ...string) {
	if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
		seconds := float64(*cpu.UsageCoreNanoSeconds) / float64(time.Second)
		to.send(f.cpu, prometheus.CounterValue, cpu.Time, seconds, slices.Concat(f.cpuLabels, labels)...)
	}
	if memory != nil && memory.WorkingSetBytes != nil {
		to.send(f.working, prometheus.GaugeValue, memory.Time, float64(*memory.WorkingSetBytes), labels...)
	}
	if f.memory != nil && memory != nil && memory.UsageBytes != nil {
		to.send(f.memory, prometheus.GaugeValue, memory.Time, float64(*memory.UsageBytes), labels...)
	}
	if f.start != nil && !started.IsZero() {
		seconds := float64(started.UnixNano()) / float64(time.Second)
		to <- prometheus.MustNewConstMetric(f.start, prometheus.GaugeValue, seconds, labels...)
	}
}

// sink takes the metrics of a scrape.
type sink chan<- prometheus.Metric

// send sends a value with the time at which it was measured.
func (s sink) send(desc *prometheus.Desc, kind prometheus.ValueType, at metav1.Time, value float64, labels ...string) {
	s <- prometheus.NewMetricWithTimestamp(at.Time, prometheus.MustNewConstMetric(desc, kind, value, labels...))
}
