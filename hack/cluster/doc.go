// Command cluster is a whole Kubernetes control plane in one binary: etcd, the API server, the
// controller manager, the scheduler and kubectl, built from their own Go modules. The tests and the
// demo use it.
//
// It is a separate module, so that krustlet-wasi does not have the requirements of Kubernetes'
// servers. `make cluster` builds it, which takes five minutes the first time.
//
// The first argument says which program a process is. `up` starts the four servers as its children,
// from the same binary.
package main
