package podsync

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Collector collects the metrics about the present state of a Manager's pods.
type Collector struct{ manager *Manager }

// NewCollector makes the Collector of a Manager.
func NewCollector(m *Manager) *Collector { return &Collector{m} }

// collectTime bounds how long Collect waits for the figures of guests.
const collectTime = 2 * time.Second

var (
	desiredPods       = prometheus.NewDesc("kubelet_desired_pods", "Pods that the API server wants the node to run.", []string{"static"}, nil)
	runningPods       = prometheus.NewDesc("kubelet_running_pods", "Pods of which a container runs.", nil, nil)
	runningContainers = prometheus.NewDesc("kubelet_running_containers", "Containers, by their state.", []string{"container_state"}, nil)
	ephemerals        = prometheus.NewDesc("kubelet_managed_ephemeral_containers", "Ephemeral containers of the node's pods.", nil, nil)
	throttled         = prometheus.NewDesc("krustlet_container_cpu_throttled_seconds_total",
		"Time that a container was held back by its limit of processor time.", []string{"container", "pod", "namespace"}, nil)
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{desiredPods, runningPods, runningContainers, ephemerals, throttled} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	// The interface passes no context.
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	used := c.manager.Engine.Stats(ctx)
	loops := c.manager.loops.all()
	told := map[[3]string]bool{} // while a pod is being removed, another pod may have its name
	running, ephemeral, states := 0, 0, map[string]int{"created": 0, "running": 0, "exited": 0}
	for _, w := range loops {
		v := w.view.Load()
		pod := v.pod
		ephemeral += len(pod.Spec.EphemeralContainers)
		runs := 0
		for _, container := range podspec.Containers(pod) {
			state := stateName(podspec.StatusOf(pod, container.Name))
			states[state]++
			if state == "running" {
				runs++
			}
			run, name := v.runs[container.Name], [3]string{container.Name, pod.Name, pod.Namespace}
			if usage, known := used[run.id]; known && run.process != nil && !told[name] && container.Resources.Limits.Cpu().Sign() > 0 {
				told[name] = true
				ch <- prometheus.MustNewConstMetric(throttled, prometheus.CounterValue, usage.Throttled.Seconds(), container.Name, pod.Name, pod.Namespace)
			}
		}
		if runs > 0 {
			running++
		}
	}
	gauge := func(desc *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), labels...)
	}
	gauge(desiredPods, len(loops), "false")
	gauge(desiredPods, 0, "true")
	gauge(runningPods, running)
	for state, n := range states {
		gauge(runningContainers, n, state)
	}
	gauge(ephemerals, ephemeral)
}

// stateName is the kubelet's word for the state of a container.
func stateName(status *corev1.ContainerStatus) string {
	switch {
	case status != nil && status.State.Running != nil:
		return "running"
	case status != nil && status.State.Terminated != nil:
		return "exited"
	}
	return "created"
}
