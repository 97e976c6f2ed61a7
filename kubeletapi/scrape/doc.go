// Package scrape is what Prometheus and metrics-server read of a node: the pages /metrics/resource
// and /metrics/cadvisor, the metrics of volumes, and the rates of a summary.
//
// All of it is made from [Stats], which the agent implements. Collectors may run concurrently. A
// scrape waits for Stats for five seconds.
package scrape
