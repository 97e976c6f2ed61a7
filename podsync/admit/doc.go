// Package admit decides which pods and containers a node refuses. It gives the reasons in the words
// of a kubelet.
//
//	admit.go      Pod, Resize and UnderPressure: what the node has, and what it is short of
//	used.go       what other pods have of the node
//	kernel.go     what pods ask of a kernel
//	container.go  what a container's security context forbids
//
// It is pure: it gets the pod, the Node and what other pods use, and returns a refusal or nil.
package admit
