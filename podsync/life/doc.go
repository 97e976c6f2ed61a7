// Package life is the state machine of a pod. It says what to do next, and what the pod's status
// is. It reads no clock, no disk and no network: time and all else that it knows is handed in, and
// what it wants is handed out as actions.
//
// The pod loop of podsync owns a Pod and uses it so: Apply takes in what happened, Decide says what
// to do and when to ask again, Status says what the API server is to have.
//
//	pod.go         what is known of a pod, and its stages
//	container.go   what is known of a container, and its steps
//	inputs.go      what a pod is told
//	actions.go     what it asks for
//	decide.go      from the state and the time to actions
//	status.go      from the state and the time to the pod's status
//	stopping.go    how runs end, and lifecycle hooks
//	probing.go     when probes are due, and what comes of them
//	policy.go      whether a container runs again
//	backoff.go     how long that waits
//	restartall.go  all containers of a pod start over
//	redefine.go    a container gets another image
//	resize.go      a pod gets other resources while it runs
//	task.go        what a pod does once, and tries again if it fails
//	restore.go     a pod that an earlier agent began
//
// Promises. Nothing starts once a pod is to end. A container has at most one run at a time. A grace
// period only shrinks. A terminal phase is final. Asked twice at one time, a Pod has nothing more
// to do. Objects are never changed. Each kind of input has its own method that changes the state,
// so none is left unhandled; which actions there are is known here only, and the pod loop logs an
// action that it cannot carry out as an error, and panics in tests.
package life
