// Package controlplane runs a Kubernetes control plane on this machine: etcd, the API server, the
// controller manager and the scheduler. They are children of the calling process, which must be the
// binary that contains them all (see package main beside it).
//
// # Ordering
//
// Run starts etcd, then the API server, then the other two. It starts each one when those that it
// needs are healthy. It calls ready when all four are healthy and the objects that a new cluster
// needs exist. It stops them in this order: scheduler, controller manager, API server, etcd.
//
// # Blocking
//
// Run blocks until its context ends or the start has failed. Each component has startTimeout to
// become healthy and stopTimeout to exit. After that it is killed.
//
// # Ownership
//
// All files are in one folder, which is locked while the cluster runs. Run removes the files that
// it made, and the folder too if it made the folder. It never changes other files. If a component
// exits, Run starts it again. If the calling process exits, even by kill -9, the components exit
// too.
package controlplane
