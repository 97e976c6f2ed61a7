// Package netpolicy turns NetworkPolicies (networking.k8s.io/v1) into what the host of guests
// decides by: named sets of addresses, and rules for each pod of this node. It is pure, does no I/O
// and starts nothing; its caller tells it objects and takes the changes.
//
//	pod.go       what is kept of a pod
//	index.go     Index: objects in, changes out
//	set.go       sets: the addresses that a selector selects
//	compile.go   the rules of a pod, from the policies of its namespace
//
// # What counts
//
// A pod in the host's network, or one that has its node's address for another reason, is no peer of
// selectors: its address is that of all else on its node. ipBlocks may name it. Policies do not
// apply to pods of this node that are in the host's network. A pod that has ended does not count,
// because another may have its address.
//
// # Cost
//
// A change of a pod is compared with each set that the node's pods need. After a change of a
// policy, the rules of the node's pods in its namespace are made again, and a set that is new looks
// at all pods. The rules of a pod have bounds (compile.go): beyond them, they allow nothing. Of a
// pod, only names, labels, addresses and named ports are kept.
package netpolicy
