package kubeletapi

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// Labels of cAdvisor: of the machine only the id says something, of a pod only its names, of a container all but the id, which is
// that of a control group.
var (
	byCadvisor    = []string{"container", "id", "image", "name", "namespace", "pod"}
	byCadvisorCPU = append([]string{"cpu"}, byCadvisor...)
	byInterface   = append([]string{"interface"}, byCadvisor...)

	cadvisorCPU     = prometheus.NewDesc("container_cpu_usage_seconds_total", "Processor time that was used, in seconds of a core.", byCadvisorCPU, nil)
	cadvisorWorking = prometheus.NewDesc("container_memory_working_set_bytes", "Memory in use, without what can be dropped, in bytes.", byCadvisor, nil)
	cadvisorMemory  = prometheus.NewDesc("container_memory_usage_bytes", "Memory in use, in bytes.", byCadvisor, nil)
	cadvisorStart   = prometheus.NewDesc("container_start_time_seconds", "When the container started, in seconds since 1970.", byCadvisor, nil)
	cadvisorError   = prometheus.NewDesc("container_scrape_error", "1 if what is used could not be had, 0 otherwise.", nil, nil)

	received      = prometheus.NewDesc("container_network_receive_bytes_total", "Bytes that were received.", byInterface, nil)
	receiveErrors = prometheus.NewDesc("container_network_receive_errors_total", "Failures to receive.", byInterface, nil)
	sent          = prometheus.NewDesc("container_network_transmit_bytes_total", "Bytes that were sent.", byInterface, nil)
	sendErrors    = prometheus.NewDesc("container_network_transmit_errors_total", "Failures to send.", byInterface, nil)
)

// cadvisorMetrics has what dashboards look for in the metrics of cAdvisor, which is a part of other kubelets. It implements
// prometheus.Collector.
type cadvisorMetrics struct {
	stats Stats
	pods  Pods
	log   *zap.Logger
}

// newCadvisorMetrics gathers the page /metrics/cadvisor.
func newCadvisorMetrics(stats Stats, pods Pods, log *zap.Logger) prometheus.Gatherer {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(cadvisorMetrics{stats, pods, log})
	return registry
}

// Describe implements prometheus.Collector.
func (cadvisorMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{cadvisorCPU, cadvisorWorking, cadvisorMemory, cadvisorStart, cadvisorError, received, receiveErrors, sent, sendErrors} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c cadvisorMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime) // the interface has none to pass on
	defer cancel()
	node, failed := useOfNode(ctx, c.stats, c.log)
	ch <- prometheus.MustNewConstMetric(cadvisorError, prometheus.GaugeValue, failed)
	sendCadvisor(ch, node.CPU, node.Memory, "", "/", "", "", "", "")
	shown := map[types.UID]*corev1.Pod{}
	for _, pod := range c.pods.Pods() {
		shown[pod.UID] = pod
	}
	for _, pod := range distinct(c.stats.PodStats(ctx, false)) {
		statuses := statusesOf(shown[types.UID(pod.PodRef.UID)])
		for _, container := range pod.Containers {
			status := statuses[container.Name]
			_, id, _ := strings.Cut(status.ContainerID, "://")
			labels := []string{container.Name, "", status.Image, id, pod.PodRef.Namespace, pod.PodRef.Name}
			sendCadvisor(ch, container.CPU, container.Memory, labels...)
			if !container.StartTime.IsZero() {
				started := float64(container.StartTime.UnixNano()) / float64(time.Second)
				ch <- prometheus.MustNewConstMetric(cadvisorStart, prometheus.GaugeValue, started, labels...)
			}
		}
		if pod.Network != nil {
			sendTraffic(ch, pod.Network, pod.PodRef)
		}
	}
}

// statusesOf are the statuses of a pod's containers, by name. There may be no pod.
func statusesOf(pod *corev1.Pod) map[string]corev1.ContainerStatus {
	all := map[string]corev1.ContainerStatus{}
	if pod == nil {
		return all
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for _, status := range list {
			all[status.Name] = status
		}
	}
	return all
}

func sendCadvisor(ch chan<- prometheus.Metric, cpu *stats.CPUStats, memory *stats.MemoryStats, labels ...string) {
	sendCPU(ch, cpu, cadvisorCPU, append([]string{"total"}, labels...)...)
	sendMemory(ch, memory, cadvisorWorking, labels...)
	if memory != nil && memory.UsageBytes != nil {
		ch <- at(memory.Time.Time, prometheus.MustNewConstMetric(cadvisorMemory, prometheus.GaugeValue, float64(*memory.UsageBytes), labels...))
	}
}

func sendTraffic(ch chan<- prometheus.Metric, network *stats.NetworkStats, pod stats.PodReference) {
	for _, i := range network.Interfaces {
		for desc, n := range map[*prometheus.Desc]*uint64{received: i.RxBytes, receiveErrors: i.RxErrors, sent: i.TxBytes, sendErrors: i.TxErrors} {
			if n != nil {
				m := prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(*n), i.Name, "", "", "", "", pod.Namespace, pod.Name)
				ch <- at(network.Time.Time, m)
			}
		}
	}
}
