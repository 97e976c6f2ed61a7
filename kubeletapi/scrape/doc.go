// Package scrape makes what Prometheus and metrics-server read from a node: the pages
// /metrics/resource and /metrics/cadvisor, the metrics of volumes, and the rates of a summary.
//
// It makes all of that from [Stats], which the agent implements. Collectors may run concurrently. A
// scrape waits for Stats for at most five seconds.
package scrape
