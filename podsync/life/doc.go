// Package life is the state machine of a pod. It decides what to do next, and what the pod's status
// is. It reads no clock, no disk and no network: it is given the time and everything else that it
// knows, and returns actions.
//
// The pod loop of podsync owns a Pod. It calls Apply with what happened, Decide for what to do and
// when to ask again, and Status for the status that the API server should have.
//
//	pod.go         the state of a pod, and its stages
//	container.go   the state of a container, and its steps
//	inputs.go      what happens to a pod
//	actions.go     what a pod asks for
//	decide.go      from the state and the time to actions
//	status.go      from the state and the time to the pod's status
//	stopping.go    how runs end, and lifecycle hooks
//	probing.go     when probes are due, and what their results mean
//	policy.go      whether a container runs again
//	backoff.go     how long it waits before that
//	restartall.go  all containers of a pod start over
//	redefine.go    a container gets another image
//	resize.go      a pod gets other resources while it runs
//	task.go        what a pod does once, and tries again if it fails
//	restore.go     a pod that an earlier agent began
//
// Promises. Nothing starts once a pod must end. A container has at most one run at a time. A grace
// period only shrinks. A terminal phase is final. A second Decide at the same time returns nothing
// to do. Objects are never changed. Each kind of input has its own method that changes the state,
// so every input is handled. Only this package defines actions. The pod loop logs an action that it
// cannot carry out as an error, and panics in tests.
package life
