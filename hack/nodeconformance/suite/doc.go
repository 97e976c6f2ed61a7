// Package suite builds the node tests of the Kubernetes project, those of its end-to-end suite that
// concern what a kubelet does, into a test binary: `go test -c`.
//
// It is a module of its own, so that the requirements of Kubernetes' test suite stay out of
// krustlet-wasi's.
package suite
