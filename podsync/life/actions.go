package life

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
)

// Action is what the machine asks for. Each is carried out without holding up the pod loop. An
// action with a result gives the machine an input in return, which is named with it.
type Action interface{ action() }

type (
	// Prepare makes the pod's folders and looks up its RuntimeClass. Result: Prepared.
	Prepare struct{}
	// Pull makes sure that a container's module is on disk, and the images of the volumes that it
	// mounts, as the pull policies say. Result: Pulled.
	Pull struct{ Container *corev1.Container }
	// Start runs a container. Results: Started and, if it started, RunEnded.
	Start struct {
		Container *corev1.Container
		Attempt   int32 // of the run that is to begin
	}
	// Stop has a container's guest killed after grace, unless it ends before.
	Stop struct {
		Container string
		Grace     time.Duration
	}
	// GiveUp cancels pulls and starts that are under way.
	GiveUp struct{}
	// Remove deletes the object, if it is still there, and removes the pod's folders. Result:
	// Removed.
	Remove struct{ Object bool }
	// Announce records an event on a container, or on the pod.
	Announce struct {
		Container *corev1.Container // nil: the pod
		Event     events.Event
	}
	// Ask does a probe. Result: Probed.
	Ask struct {
		Container *corev1.Container
		ID        string // of the run
		Kind      ProbeKind
	}
	// Hook carries out a lifecycle hook. Result: HookEnded.
	Hook struct {
		Container *corev1.Container
		ID        string // of the run
		Kind      HookKind
	}
	// Weigh asks whether the node has room for a pod as it is to be, which it then has. Result:
	// Weighed.
	Weigh struct {
		Pod    *corev1.Pod
		Before PendingResize
	}
	// Resize gives a guest the resources of its container. Result: Resized.
	Resize struct {
		Container *corev1.Container
		ID        string                      // of the run
		From      corev1.ResourceRequirements // what it has
		Failed    string                      // how it went last
	}
)

func (Prepare) action()  {}
func (Pull) action()     {}
func (Start) action()    {}
func (Stop) action()     {}
func (GiveUp) action()   {}
func (Remove) action()   {}
func (Announce) action() {}
func (Ask) action()      {}
func (Hook) action()     {}
func (Weigh) action()    {}
func (Resize) action()   {}
