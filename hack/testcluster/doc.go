// Package testcluster gives tests a real Kubernetes control plane: the one in bin/cluster, which
// `make cluster` builds.
//
// A test binary has one cluster. The first call of Start starts it, and all tests share it. Each
// test uses a namespace and node names of its own. A package that uses the cluster has
//
//	func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }
//
// # Ownership
//
// Main stops the cluster and waits until it has exited. If the test binary exits in another way,
// the cluster stops by itself. In both cases the cluster removes its files.
//
// # Blocking
//
// Start blocks until the cluster is healthy, at most 120 s. Kubectl blocks until the command ends,
// at most two minutes.
package testcluster
