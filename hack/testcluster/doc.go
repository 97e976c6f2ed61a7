// Package testcluster gives tests a real Kubernetes control plane: the one in
// bin/cluster, which `make cluster` builds.
//
// A test binary has one cluster, started by the first call of Start and shared
// by its tests; each test takes a namespace, and node names of its own. A
// package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }
//
// # Ownership
//
// Main stops the cluster and waits for its end. A cluster whose test binary dies
// in any other way stops by itself, and in every case removes its files.
//
// # Blocking
//
// Start blocks until the cluster is healthy, for 120 s at most. Kubectl blocks
// until the command ends, for two minutes at most.
package testcluster
