package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HostCalls is the metric of host calls: how often guests call their host. It implements
// prometheus.Collector.
type HostCalls struct {
	// Functions are those that are exported from the beginning on, at 0: Prometheus sees no growth
	// in a series that was not there before.
	Functions []string
	// Ask returns how often each function was called until now.
	Ask func(context.Context) map[string]uint64
}

// askTime bounds Ask.
const askTime = 2 * time.Second

var hostCalls = prometheus.NewDesc("krustlet_wasi_host_calls_total", "Calls of guests of their host, by function of WASI.", []string{"function"}, nil)

// Describe implements prometheus.Collector.
func (HostCalls) Describe(ch chan<- *prometheus.Desc) { ch <- hostCalls }

// Collect implements prometheus.Collector.
func (h HostCalls) Collect(ch chan<- prometheus.Metric) {
	// Collect gets no context to pass on.
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	all := map[string]uint64{}
	for _, name := range h.Functions {
		all[name] = 0
	}
	for name, n := range h.Ask(ctx) { // a worker of another build may have other functions
		all[name] = n
	}
	for name, n := range all {
		ch <- prometheus.MustNewConstMetric(hostCalls, prometheus.CounterValue, float64(n), name)
	}
}
