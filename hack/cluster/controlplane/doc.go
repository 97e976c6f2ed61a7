// Package controlplane runs a Kubernetes control plane on this machine: etcd,
// the API server, the controller manager and the scheduler, as children of the
// calling process, which must be the binary that holds them all (see package
// main beside it).
//
// # Ordering
//
// Run starts etcd, then the API server, then the other two, each once what it
// needs is healthy, and calls ready when all four are and the objects that a
// new cluster needs exist. It stops them in the order scheduler, controller
// manager, API server, etcd.
//
// # Blocking
//
// Run blocks until its context is done or the start has failed. Each component
// is given startTimeout to become healthy and stopTimeout to end; one that
// does not end by then is killed.
//
// # Ownership
//
// Everything lives in one folder, locked while the cluster runs. What Run made
// there it removes, and the folder too if it made that; it never touches other
// files. A component that dies is started again. When the calling process dies,
// even by kill -9, the components die with it.
package controlplane
