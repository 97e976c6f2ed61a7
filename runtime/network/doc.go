// Package network decides what guests may do in the network, and finds the way to where they
// connect: lists of egress, NetworkPolicies, Services, names, and the addresses of pods.
//
//	network.go    Network: what one guest may; it implements wasi.Network
//	bind.go       which addresses a guest may have
//	connect.go    decisions on connections and datagrams
//	lookup.go     names: what may be looked up, and which addresses were found
//	questions.go  how many sockets ask servers of names
//	watch.go      connections that are cut when they are not allowed any more
//	machine.go    whether a program of the machine has a port at all addresses
//	denials.go    what was refused
//	cluster.go    Cluster: what a process knows of the cluster, for all Networks
//	sets.go       named sets of addresses
//	rules.go      the rules of a pod
//	services.go   Services and their endpoints
//
// # Who is asked
//
// A connection of a guest is asked, in this order:
//
//  1. Its own pod: connections to it are always allowed. The guest's loopback addresses mean the
//     pod's address, if the pod has one of its own.
//  2. The lists of egress, about the address that the guest has named. This may be that of a
//     Service.
//  3. The Service, which leads to one of its endpoints.
//  4. The ceilings of egress, about the endpoint.
//  5. The NetworkPolicies for egress of the pod, about the endpoint and its port.
//  6. The NetworkPolicies for ingress of the other pod, if it is one of this node.
//
// A connection that comes to a guest is asked: NetworkPolicies for ingress. What comes from the pod
// itself and from the node's own addresses is always allowed, because probes come from there.
//
// Answers need no permission: package wasi remembers with whom a socket of UDP has exchanged
// datagrams, and asks again only for others.
//
// # Before the cluster is known
//
// Until the first update, a pod has the rules that it started with (runtime.Network.Rules), sets
// are empty, and each address may be one of the node. So with a ceiling, a guest reaches only its
// own pod. If a later update knows the pod no more, guests that run keep its last rules.
//
// # Locks
//
// Decisions wait for no network and for no long work: an update is prepared beside them.
// Cluster.mu comes before Network.mu and pod.mu. Network.Lookup is the only method that waits.
package network
