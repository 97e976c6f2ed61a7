package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Runtime are the metrics of how guests are compiled and started.
type Runtime struct {
	collectors
	compile prometheus.Histogram
	errors  prometheus.Counter
	cache   *prometheus.CounterVec // by result
	start   *prometheus.HistogramVec
}

// NewRuntime makes the metrics. All of them are zero.
func NewRuntime() *Runtime {
	r := &Runtime{}
	r.compile = add(&r.collectors, prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "krustlet_compile_duration_seconds", Help: "Time to compile a module.",
		Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 120},
	}))
	r.errors = add(&r.collectors, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "krustlet_compile_errors_total", Help: "Modules that could not be compiled.",
	}))
	r.cache = add(&r.collectors, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "krustlet_compile_cache_total", Help: "How often compiled code was looked for, and was there (hit) or not (miss).",
	}, []string{"result"}))
	r.start = add(&r.collectors, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "krustlet_guest_start_duration_seconds", Help: "Time to start a guest in a worker once its module is compiled.",
		Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
	}, []string{"kind"}))
	return r
}

// Compiled counts a module that a caller asked for. The module was in the cache, or took this time
// to compile, or failed with err.
func (r *Runtime) Compiled(cached bool, took time.Duration, err error) {
	switch {
	case cached:
		r.cache.WithLabelValues("hit").Inc()
		return
	case err != nil:
		r.errors.Inc()
	default:
		r.compile.Observe(took.Seconds())
	}
	r.cache.WithLabelValues("miss").Inc()
}

// Started counts a guest that was started, for a run or for a command.
func (r *Runtime) Started(session bool, took time.Duration) {
	kind := "container"
	if session {
		kind = "session"
	}
	r.start.WithLabelValues(kind).Observe(took.Seconds())
}
