// Package podspec answers questions about a pod from its object alone: the containers and their
// kinds, their statuses, the pod's addresses, ports and names, and how much of the node it takes.
// It reads no clock and no disk, and changes no pod.
//
//	containers.go  the containers of a pod, and their kinds
//	statuses.go    their statuses
//	resources.go   what a pod takes of the node
//	reach.go       the addresses of a pod and of its node
//	sockets.go     the ports: sockets that containers get, and ports of the host
//	httpports.go   where HTTP handlers are served
//	http.go        how they are served: annotations
//	names.go       hostname and domain
package podspec
