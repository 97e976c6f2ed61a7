// Package testnode runs the real agent, bin/krustlet-wasi, as a user would, against a test cluster.
// The end-to-end tests and the benchmarks use it.
//
// Each node has its own loopback address, data directory and name, so several can run at the same
// time. When a test ends, its nodes are stopped. If the race detector saw a data race in one of
// them, the test fails.
package testnode
