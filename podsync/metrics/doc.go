// Package metrics has the counters and histograms of a kubelet and of its runtime, under the names that dashboards know.
// Whoever does something has the struct and observes it; whoever serves metrics registers the struct as a
// prometheus.Collector. One that nobody registers costs little and harms nobody. There is no global registry.
//
//	pods.go       what becomes of pods: kubelet_*
//	probes.go     probes: prober_*
//	runtime.go    how guests are compiled and started: krustlet_*
//	hostcalls.go  how often they call their host
package metrics
