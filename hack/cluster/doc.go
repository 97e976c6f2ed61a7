// Command cluster is a whole Kubernetes control plane in one binary: etcd, the
// API server, the controller manager, the scheduler and kubectl, built from
// their own Go modules. The tests and the demo run against it.
//
// It is a module of its own, so that the requirements of Kubernetes' servers
// stay out of krustlet-wasi's. `make cluster` builds it, which takes five minutes
// the first time.
//
// The first argument picks what a process is; `up` starts the four servers as
// children of itself, out of the same binary.
package main
