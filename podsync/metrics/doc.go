// Package metrics has the counters and histograms of a kubelet and of its runtime, under the names
// that dashboards know. The code that does something holds the struct and observes it. The code
// that serves metrics registers the struct as a prometheus.Collector. A struct that is not
// registered costs little. There is no global registry.
//
//	pods.go       pods, from their start to their end: kubelet_*
//	probes.go     probes: prober_*
//	runtime.go    how guests are compiled and started: krustlet_*
//	hostcalls.go  how often guests call their host
package metrics
