// Package suite builds the Kubernetes project's node tests into a test binary: `go test -c`. They
// are the tests of its end-to-end suite that concern a kubelet.
//
// It is a separate module, so that krustlet-wasi does not have the requirements of Kubernetes' test
// suite.
package suite
