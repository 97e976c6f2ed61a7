// Package node keeps the Node object of this machine in the API: registration, status, lease.
//
// Run blocks until its context ends, and waits for the goroutines it started: one renews the lease,
// one watches for the Node's deletion. All else happens in Run's own goroutine, level by level:
// look at what the API has, create the Node if it is not there, adopt it if it was not ours, send
// the status if it differs. So a deleted Node comes back, and an API server that was away finds
// everything as it should be.
//
// What a node may do to itself is bounded by the NodeRestriction admission plugin: taints are
// accepted at creation only, and of the labels below kubernetes.io and k8s.io only some. An
// existing Node is therefore adopted as far as allowed, and the log says what could not be set. A
// Node that belongs to a kubelet of another kind is left alone (ErrForeign).
//
// Pressure says what the machine runs short of. The Node's conditions and the eviction of pods need
// it.
package node
