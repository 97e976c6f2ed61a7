// Package clusternet knows what the cluster says of the network, and tells it to the workers:
// NetworkPolicies, Services, and which addresses are the cluster's and the node's.
//
//	state.go     State: what workers have to know, by numbers; it implements pool.Network
//	cluster.go   Cluster: watches the API server, and makes the State
//	watches.go   what is watched, and whether the node may
//	addresses.go the sets of the cluster's and the node's addresses
//
// # Complete
//
// The State has no number before all first lists are there: NetworkPolicies, Namespaces, Nodes,
// ServiceCIDRs, Services, and where they are needed, pods and EndpointSlices. Until then no guest
// starts, and workers keep what an earlier agent has told. A list that the API server forbids
// counts as there, and empty; see Cluster.Conditions. A list that comes later, as its right was
// given later, is told then.
//
// # What is watched
//
// EndpointSlices, while a pod of the node may connect somewhere. Pods of other nodes, once a
// policy selects pods for a pod of the node. All else always.
//
// # Speed
//
// A change is told within 20 ms. Workers have it before the next guest starts.
package clusternet
