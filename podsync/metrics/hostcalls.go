package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HostCalls is the metric of host calls: how often guests call their host. It implements
// prometheus.Collector.
type HostCalls struct {
	// Functions are exported from the beginning, with the value 0. Otherwise Prometheus would not
	// see the first growth of their series.
	Functions []string
	// Ask returns how often each function has been called so far.
	Ask func(context.Context) map[string]uint64
}

// askTime bounds Ask.
const askTime = 2 * time.Second

var hostCalls = prometheus.NewDesc("krustlet_wasi_host_calls_total", "Calls of guests of their host, by function of WASI.", []string{"function"}, nil)

// Describe implements prometheus.Collector.
func (HostCalls) Describe(ch chan<- *prometheus.Desc) { ch <- hostCalls }

// Collect implements prometheus.Collector.
func (h HostCalls) Collect(ch chan<- prometheus.Metric) {
	// Collect gets no context that it could pass on.
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	all := map[string]uint64{}
	for _, name := range h.Functions {
		all[name] = 0
	}
	for name, n := range h.Ask(ctx) { // a worker of another build may report other functions
		all[name] = n
	}
	for name, n := range all {
		ch <- prometheus.MustNewConstMetric(hostCalls, prometheus.CounterValue, float64(n), name)
	}
}
