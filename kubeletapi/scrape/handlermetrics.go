package scrape

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// HandlerStats says what HTTP handlers have done.
type HandlerStats interface {
	// HandlerStats calls yield with the figures of each container that is an HTTP handler and runs.
	// It tells each name once.
	HandlerStats(ctx context.Context, yield func(namespace, pod, container string, used runtime.HTTPStats))
}

// handlerTime limits how long one scrape waits for the figures of handlers.
const handlerTime = 2 * time.Second

var (
	handlerRequests    = handlerDesc("requests_total", "Requests that were answered.", "code")
	handlerDuration    = handlerDesc("request_duration_seconds", "Time from a request to the end of its answer.")
	handlerReceived    = handlerDesc("received_bytes_total", "Bytes of the bodies of requests.")
	handlerSent        = handlerDesc("sent_bytes_total", "Bytes of the bodies of answers.")
	handlerConnections = handlerDesc("connections", "Connections that are open.")
	handlerActive      = handlerDesc("requests_active", "Requests that are under way.")
	handlerQueued      = handlerDesc("requests_queued", "Requests that wait for an instance.")
	handlerInstances   = handlerDesc("instances", "Instances of the component.")
	handlerStarts      = handlerDesc("starts_total", "Requests for which an instance was made (cold), or was there (warm).", "kind")
	handlerFaults      = handlerDesc("instance_faults_total", "Instances that ended by a trap, at the memory limit or at a time-out.", "reason")
	handlerAborted     = handlerDesc("requests_aborted_total", "Requests whose answers could not be completed.")
)

func handlerDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("krustlet_wasi_http_"+name, help, append(labels, "container", "pod", "namespace"), nil)
}

// otherCode is the label of status codes that are not told one by one. Code is a guest's choice.
const otherCode = "other"

// Handlers are the metrics of HTTP handlers, for the page /metrics. It implements
// prometheus.Collector.
type Handlers struct{ Stats HandlerStats }

// Describe implements prometheus.Collector.
func (Handlers) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		handlerRequests, handlerDuration, handlerReceived, handlerSent, handlerConnections, handlerActive,
		handlerQueued, handlerInstances, handlerStarts, handlerFaults, handlerAborted,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A handler without any request has no histogram, because
// a node may have thousands of them.
func (h Handlers) Collect(ch chan<- prometheus.Metric) {
	// The interface passes no context.
	ctx, cancel := context.WithTimeout(context.Background(), handlerTime)
	defer cancel()
	h.Stats.HandlerStats(ctx, func(namespace, pod, container string, used runtime.HTTPStats) {
		names := []string{container, pod, namespace}
		send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, kind, value, append(labels, names...)...)
		}
		for code, n := range codes(used.Answers) {
			send(handlerRequests, prometheus.CounterValue, float64(n), code)
		}
		if total, buckets := histogram(used); total > 0 {
			ch <- prometheus.MustNewConstHistogram(handlerDuration, total, used.Seconds, buckets, names...)
		}
		send(handlerReceived, prometheus.CounterValue, float64(used.Received))
		send(handlerSent, prometheus.CounterValue, float64(used.Sent))
		send(handlerConnections, prometheus.GaugeValue, float64(used.Open))
		send(handlerActive, prometheus.GaugeValue, float64(used.Active))
		send(handlerQueued, prometheus.GaugeValue, float64(used.Queued))
		send(handlerInstances, prometheus.GaugeValue, float64(used.Instances))
		send(handlerStarts, prometheus.CounterValue, float64(used.Cold), "cold")
		send(handlerStarts, prometheus.CounterValue, float64(used.Warm), "warm")
		send(handlerFaults, prometheus.CounterValue, float64(used.Traps), "trap")
		send(handlerFaults, prometheus.CounterValue, float64(used.Memory), "memory")
		send(handlerFaults, prometheus.CounterValue, float64(used.Timeouts), "timeout")
		send(handlerAborted, prometheus.CounterValue, float64(used.Aborted))
	})
}

// codes are answers by label.
func codes(answers map[int]uint64) map[string]uint64 {
	all := map[string]uint64{}
	for code, n := range answers {
		label := otherCode
		if code >= 100 && code < 600 {
			label = strconv.Itoa(code)
		}
		all[label] += n
	}
	return all
}

// histogram returns the number of all durations, and the sums up to each bound.
func histogram(used runtime.HTTPStats) (total uint64, upTo map[float64]uint64) {
	upTo = map[float64]uint64{}
	for i, n := range used.Durations {
		total += n
		if i < len(runtime.HTTPBuckets) {
			upTo[runtime.HTTPBuckets[i]] = total
		}
	}
	return total, upTo
}
