package scrape

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// These are the labels of cAdvisor. For the machine, only the id has a value. For a pod, only its
// names have one. A container has all but the id, because the id is that of a control group.
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

// Cadvisor gathers the page /metrics/cadvisor. It has the metrics of cAdvisor that dashboards ask
// for. cAdvisor is a part of other kubelets. pods are the node's pods with their statuses.
func Cadvisor(stats Stats, pods func() []*corev1.Pod, log *zap.Logger) prometheus.Gatherer {
	return page{
		stats: stats, log: log, failed: cadvisorError,
		descs: []*prometheus.Desc{cadvisorCPU, cadvisorWorking, cadvisorMemory, cadvisorStart, received, receiveErrors, sent, sendErrors},
		begin: func() senders {
			shown := map[types.UID]*corev1.Pod{}
			for _, pod := range pods() {
				shown[pod.UID] = pod
			}
			return senders{node: sendMachine, pod: cadvisorPods(shown).send}
		},
	}.gatherer()
}

// cadvisor is the metrics of the machine and of containers.
var cadvisor = family{cpu: cadvisorCPU, working: cadvisorWorking, memory: cadvisorMemory, start: cadvisorStart, cpuLabels: []string{"total"}}

func sendMachine(to sink, node stats.NodeStats) {
	cadvisor.send(to, node.CPU, node.Memory, metav1.Time{}, "", "/", "", "", "", "")
}

// cadvisorPods are the node's pods as the API shows them.
type cadvisorPods map[types.UID]*corev1.Pod

func (p cadvisorPods) send(to sink, pod stats.PodStats) {
	statuses := statusesOf(p[types.UID(pod.PodRef.UID)])
	for _, c := range pod.Containers {
		status := statuses[c.Name]
		_, id, _ := strings.Cut(status.ContainerID, "://")
		cadvisor.send(to, c.CPU, c.Memory, c.StartTime, c.Name, "", status.Image, id, pod.PodRef.Namespace, pod.PodRef.Name)
	}
	if pod.Network != nil {
		sendTraffic(to, pod.Network, pod.PodRef)
	}
}

// statusesOf are the statuses of a pod's containers, by name. pod may be nil.
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

func sendTraffic(to sink, network *stats.NetworkStats, pod stats.PodReference) {
	for _, i := range network.Interfaces {
		for desc, n := range map[*prometheus.Desc]*uint64{received: i.RxBytes, receiveErrors: i.RxErrors, sent: i.TxBytes, sendErrors: i.TxErrors} {
			if n != nil {
				to.send(desc, prometheus.CounterValue, network.Time, float64(*n), i.Name, "", "", "", "", pod.Namespace, pod.Name)
			}
		}
	}
}
