// Package podsync runs the pods that the API server binds to this node.
//
// The way of a pod. Read the files in this order:
//
//	manager.go      gives an informer's event to the pod loop of the pod's UID
//	mailbox.go      keeps the newest object of a pod until its loop takes it
//	podloop.go      owns the state of a pod: applies what happened, asks what to do, starts it
//	life/decide.go  pure: actions from the state and the time
//	actions.go      carries out actions, up to the start of a guest
//	container.go    makes the engine's spec of a container
//	life/status.go  pure: the pod's status from the state and the time
//	report.go       writes the status to the API server
//
// The other files:
//
//	podloops.go     the table of pod loops
//	runs.go         runs that an earlier agent began, and runs that have ended
//	images.go       images that containers and volumes need
//	volumes.go      volumes: their updates, mounts and limits
//	addresses.go    addresses of pods
//	guestnetwork.go what guests have of the network
//	denials.go      events about what the network refuses
//	hostports.go    ports of the node that lead to pods
//	probes.go       probes and hooks
//	exec.go         commands beside a container's run
//	resizing.go     new resources for a pod that runs
//	admission.go    pods that the node refuses, and the Node as it was read last
//	classes.go      RuntimeClasses
//	services.go     Services in the environment of containers
//	eviction.go     evicting pods when the node runs short
//	ranking.go      the order in which pods are evicted
//	sessions.go     commands of users, and clients that are attached
//	logs.go         reading a container's log
//	ports.go        connections to a pod's ports
//	running.go      the containers that run now
//	stats.go        what pods use
//	spent.go        what ended runs have used
//	measures.go     metrics of one pod
//	collector.go    metrics of all pods
//	trace.go        spans for tracing
//
// Packages below this one: life (the state machine), admit (which pods are refused), podspec (what
// an object says), podfiles (files on the node's disk), environ (environment variables), events
// (the words of events), and others.
//
// Guests run while agents change. If the engine outlives the agent, the next Manager asks the
// engine once, at its start, for its runs. Each goes on as the run of its container: with the same
// ID, restart count and start time. The Manager forgets a run only when the API server has its
// exit, or its pod is deleted. So an exit is reported later if no agent was there, or if it could
// not be reported. The Manager stops runs of pods that the node does not have any more. The folders
// of those pods stay until the runs have ended. When the context of Manager.Run ends, guests go on.
//
// Promises. Events of one pod are handled in order, those of different pods in parallel. Nothing
// starts once a pod must end. A container has at most one run at a time, also when agents change. A
// grace period only shrinks, and goes on while no agent is there. A terminal phase is final. A pod
// is identified by its UID: a pod that was deleted and created again under its name is another pod.
// Objects that come from the API server are never changed.
package podsync
