// Package podsync runs the pods that the API server binds to this node.
//
// The way of a pod, in the order in which to read the files:
//
//	manager.go  an informer's event is routed, by the pod's UID, to the pod's worker
//	worker.go   one goroutine per pod owns the pod's state: it takes what is newest from its mailbox and
//	            what came of its actions, and asks decide what to do next
//	decide.go   pure: from the state and the time to actions and a time to wake up
//	status.go   pure: from the state to the pod's status
//
// The rest serves these: state.go (what is known of a pod, and how results change it), actions.go (what
// the actions do), report.go (writing the status), container.go (the run of one container: folders, environment,
// arguments), restore.go (a pod that an earlier agent began), logs.go (reading a container's log).
//
// Promises. Events of one pod are handled in order, those of different pods side by side. Nothing starts
// once a pod is to end. A container has at most one run at a time. A grace period only shrinks. A terminal phase is
// final. A pod is known by its UID: one that was deleted and made again under its name is another pod.
// Objects that come from the API server are never changed.
package podsync
