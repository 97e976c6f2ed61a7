// Package testnode runs the real agent, bin/krustlet-wasi as a user would, against a test cluster:
// it is what the end-to-end tests and the benchmarks stand on.
//
// Each node has a loopback address, a data directory and a name of its own, so many may run side by
// side. When a test ends its nodes are stopped, and a data race that the race detector saw in one
// fails the test.
package testnode
