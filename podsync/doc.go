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
// the actions do), report.go (writing the status), container.go (the run of one container), environment.go,
// envfile.go, downward.go and services.go (its environment), policy.go and restartall.go (what runs again), resize.go and resizing.go (other resources for a pod that runs: pure, and carried out), probing.go (when probes are due, and what comes of them: pure), stopping.go (how
// runs end, and hooks: pure), probes.go and exec.go (probes, hooks and commands, carried out), admission.go and
// security.go (pods that the node cannot take, and containers that must not run), dirs.go
// (its folders), volumes.go, ownfiles.go, hosts.go, resolvconf.go (its files besides), addresses.go (where it is reached), hostports.go (which ports of the node lead to it), ephemeralstorage.go (what it may take of the disk), eviction.go, ranking.go (which pod goes when the node runs short), lastwords.go (why a container ended), classes.go (RuntimeClasses), restore.go (a pod that an earlier agent began), runs.go (runs from before, and
// runs that have ended), logs.go (reading a container's log), sessions.go (commands that users
// run in containers), stats.go (what pods use), spent.go (what their runs have used that have ended), measures.go, collector.go and trace.go (what is counted and told of them).
//
// Agents come and go, guests stay. Where the engine outlives the agent, the next Manager asks it once, when it begins, for
// the runs that it has, and each goes on as its container's: the same ID, restart count and start time. Nothing of a
// run is forgotten before the API server has its exit (or its pod is gone), so an exit that happens while no agent is
// there, or that could not be reported, is reported later. Runs that no pod of the node has any more are stopped, and the
// folders of their pods stay until they have ended. Manager.Run leaves guests running when its context ends.
//
// Promises. Events of one pod are handled in order, those of different pods side by side. Nothing starts
// once a pod is to end. A container has at most one run at a time, whichever agent started it. A grace period only
// shrinks, and goes on while no agent is there. A terminal phase is final. A pod is known by its UID: one that was deleted and made again under its name is another pod.
// Objects that come from the API server are never changed.
package podsync
