package kubeletapi

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// scrapeTime bounds how long Stats is waited for in a scrape.
const scrapeTime = 5 * time.Second

var (
	ofContainer = []string{"container", "pod", "namespace"}
	ofPod       = []string{"pod", "namespace"}

	nodeCPU         = prometheus.NewDesc("node_cpu_usage_seconds_total", "Processor time that the node has used, in seconds of a core.", nil, nil)
	nodeMemory      = prometheus.NewDesc("node_memory_working_set_bytes", "Memory that the node uses, in bytes.", nil, nil)
	nodeSwap        = prometheus.NewDesc("node_swap_usage_bytes", "Swap that the node uses, in bytes.", nil, nil)
	containerCPU    = prometheus.NewDesc("container_cpu_usage_seconds_total", "Processor time that the container has used, in seconds of a core.", ofContainer, nil)
	containerMemory = prometheus.NewDesc("container_memory_working_set_bytes", "Memory that the container uses, in bytes.", ofContainer, nil)
	containerStart  = prometheus.NewDesc("container_start_time_seconds", "When the container started, in seconds since 1970.", ofContainer, nil)
	podCPU          = prometheus.NewDesc("pod_cpu_usage_seconds_total", "Processor time that the pod has used, in seconds of a core.", ofPod, nil)
	podMemory       = prometheus.NewDesc("pod_memory_working_set_bytes", "Memory that the pod uses, in bytes.", ofPod, nil)
	scrapeError     = prometheus.NewDesc("resource_scrape_error", "1 if what is used could not be had, 0 otherwise.", nil, nil)
)

// resourceMetrics has what metrics-server asks for. It implements prometheus.Collector.
type resourceMetrics struct {
	stats Stats
	log   *zap.Logger
}

// newResourceMetrics gathers the page /metrics/resource.
func newResourceMetrics(stats Stats, log *zap.Logger) prometheus.Gatherer {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(resourceMetrics{stats, log})
	return registry
}

// Describe implements prometheus.Collector.
func (r resourceMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{nodeCPU, nodeMemory, nodeSwap, containerCPU, containerMemory, containerStart, podCPU, podMemory, scrapeError} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (r resourceMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime) // the interface has none to pass on
	defer cancel()
	node, failed := useOfNode(ctx, r.stats, r.log)
	ch <- prometheus.MustNewConstMetric(scrapeError, prometheus.GaugeValue, failed)
	sendUse(ch, node.CPU, node.Memory, nodeCPU, nodeMemory)
	if swap := node.Swap; swap != nil && swap.SwapUsageBytes != nil {
		ch <- at(swap.Time.Time, prometheus.MustNewConstMetric(nodeSwap, prometheus.GaugeValue, float64(*swap.SwapUsageBytes)))
	}
	for _, pod := range distinct(r.stats.PodStats(ctx, false)) {
		name, namespace := pod.PodRef.Name, pod.PodRef.Namespace
		for _, c := range pod.Containers {
			if !c.StartTime.IsZero() {
				started := float64(c.StartTime.UnixNano()) / float64(time.Second)
				ch <- prometheus.MustNewConstMetric(containerStart, prometheus.GaugeValue, started, c.Name, name, namespace)
			}
			sendUse(ch, c.CPU, c.Memory, containerCPU, containerMemory, c.Name, name, namespace)
		}
		sendUse(ch, pod.CPU, pod.Memory, podCPU, podMemory, name, namespace)
	}
}

// useOfNode is what the node uses, and 1 where that could not be had.
func useOfNode(ctx context.Context, from Stats, log *zap.Logger) (use stats.NodeStats, failed float64) {
	use, err := from.NodeStats(ctx, false)
	if err != nil {
		log.Error("cannot tell what the node uses", zap.Error(err))
		failed = 1
	}
	return use, failed
}

// distinct leaves one pod of each name: one that is going may have a successor of its name already.
func distinct(pods []stats.PodStats) []stats.PodStats {
	told := map[[2]string]bool{}
	return slices.DeleteFunc(pods, func(pod stats.PodStats) bool {
		name := [2]string{pod.PodRef.Namespace, pod.PodRef.Name}
		again := told[name]
		told[name] = true
		return again
	})
}

// sendUse sends a use of processors and memory, with the time of when it was that.
func sendUse(ch chan<- prometheus.Metric, cpu *stats.CPUStats, memory *stats.MemoryStats, cpuDesc, memoryDesc *prometheus.Desc, labels ...string) {
	sendCPU(ch, cpu, cpuDesc, labels...)
	sendMemory(ch, memory, memoryDesc, labels...)
}

func sendCPU(ch chan<- prometheus.Metric, cpu *stats.CPUStats, desc *prometheus.Desc, labels ...string) {
	if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
		seconds := float64(*cpu.UsageCoreNanoSeconds) / float64(time.Second)
		ch <- at(cpu.Time.Time, prometheus.MustNewConstMetric(desc, prometheus.CounterValue, seconds, labels...))
	}
}

func sendMemory(ch chan<- prometheus.Metric, memory *stats.MemoryStats, desc *prometheus.Desc, labels ...string) {
	if memory != nil && memory.WorkingSetBytes != nil {
		ch <- at(memory.Time.Time, prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(*memory.WorkingSetBytes), labels...))
	}
}

func at(time time.Time, m prometheus.Metric) prometheus.Metric {
	return prometheus.NewMetricWithTimestamp(time, m)
}
