// Package podspec answers questions about a pod that its object answers alone: which container is
// which, what a status says of it, which addresses, ports and names it has, and what it takes of
// the node. It reads no clock and no disk, and changes no pod.
//
//	containers.go  the containers of a pod, and their kinds
//	statuses.go    what a status says of them
//	resources.go   what a pod takes of the node
//	reach.go       the addresses of a pod and of its node
//	sockets.go     the ports: sockets that containers find, and ports of the host
//	names.go       hostname and domain
package podspec
