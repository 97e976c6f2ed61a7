package scrape

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

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

// Resource gathers the page /metrics/resource, which metrics-server reads.
func Resource(stats Stats, log *zap.Logger) prometheus.Gatherer {
	return page{
		stats: stats, log: log, failed: scrapeError,
		descs: []*prometheus.Desc{nodeCPU, nodeMemory, nodeSwap, containerCPU, containerMemory, containerStart, podCPU, podMemory},
		begin: func() senders { return senders{node: sendNode, pod: sendPod} },
	}.gatherer()
}

func sendNode(to sink, node stats.NodeStats) {
	family{cpu: nodeCPU, working: nodeMemory}.send(to, node.CPU, node.Memory, metav1.Time{})
	if swap := node.Swap; swap != nil && swap.SwapUsageBytes != nil {
		to.send(nodeSwap, prometheus.GaugeValue, swap.Time, float64(*swap.SwapUsageBytes))
	}
}

func sendPod(to sink, pod stats.PodStats) {
	name, namespace := pod.PodRef.Name, pod.PodRef.Namespace
	containers := family{cpu: containerCPU, working: containerMemory, start: containerStart}
	for _, c := range pod.Containers {
		containers.send(to, c.CPU, c.Memory, c.StartTime, c.Name, name, namespace)
	}
	family{cpu: podCPU, working: podMemory}.send(to, pod.CPU, pod.Memory, metav1.Time{}, name, namespace)
}
