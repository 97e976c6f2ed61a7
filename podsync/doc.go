// Package podsync runs the pods that the API server binds to this node.
//
// The way of a pod, in the order in which to read the files:
//
//	manager.go          an informer's event goes, by the pod's UID, to the pod's loop
//	mailbox.go          what is newest of a pod, until its loop takes it
//	podloop.go          one goroutine per pod owns the pod's state: it takes in what happened, asks what to do, has it done
//	life/decide.go      pure: from the state and the time to actions
//	actions.go          what the actions do, up to the start of a guest
//	container.go        what the engine is told of a container
//	life/status.go      pure: from the state and the time to the pod's status
//	report.go           the status is written to the API server
//
// Beside that way:
//
//	runs.go             runs that an earlier agent began, and runs that have ended
//	images.go           images that containers and volumes need
//	volumes.go          volumes, kept up to date; what a run sees of files; what a pod may take of the disk
//	addresses.go        the addresses of pods
//	hostports.go        ports of the node that lead to pods
//	probes.go           probes and hooks, carried out
//	exec.go             commands beside a container's run
//	resizing.go         other resources for a pod that runs, carried out
//	admission.go        pods that the node cannot take
//	security.go         and containers that must not run
//	classes.go          RuntimeClasses
//	services.go         the Services that containers are told of
//	eviction.go         which pod goes when the node runs short
//	ranking.go          in which order
//	sessions.go         commands of users, and clients that are attached
//	logs.go             reading a container's log
//	ports.go            connections to a pod's ports
//	running.go          what runs now
//	stats.go            what pods use
//	spent.go            what their runs have used that have ended
//	measures.go         what is counted of a pod
//	collector.go        what is counted of all pods
//	trace.go            what tracing is told
//
// What these need has packages of its own: life (the state machine), podspec (what an object says),
// podfiles (files on the node's disk), environ (environment variables), events (the words of
// events), and others below this one.
//
// Agents come and go, guests stay. Where the engine outlives the agent, the next Manager asks it
// once, when it begins, for the runs that it has, and each goes on as its container's: the same ID,
// restart count and start time. Nothing of a run is forgotten before the API server has its exit
// (or its pod is deleted), so an exit that happens while no agent is there, or that could not be
// reported, is reported later. Runs of pods that the node does not have any more are stopped, and
// the folders of those pods stay until the runs have ended. Manager.Run leaves guests running when
// its context ends.
//
// Promises. Events of one pod are handled in order, those of different pods side by side. Nothing
// starts once a pod is to end. A container has at most one run at a time, whichever agent started
// it. A grace period only shrinks, and goes on while no agent is there. A terminal phase is final.
// A pod is known by its UID: one that was deleted and made again under its name is another pod.
// Objects that come from the API server are never changed.
package podsync
