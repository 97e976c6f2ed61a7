package life

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
)

// Action is something that the machine asks for. No action blocks the pod loop. If an action has a
// result, the machine gets it as an input. The comment of the action names that input.
type Action interface{ action() }

type (
	// Prepare makes the pod's folders and looks up its RuntimeClass. Result: Prepared.
	Prepare struct{}
	// Pull makes sure that a container's module is on disk, and that the images of its volumes are
	// on disk, as the pull policies say. Result: Pulled.
	Pull struct{ Container *corev1.Container }
	// Start runs a container. Result: Started, and later RunEnded if the run started.
	Start struct {
		Container *corev1.Container
		Attempt   int32 // of the new run
	}
	// Stop kills a container's guest after grace, unless the guest ends before that.
	Stop struct {
		Container string
		Grace     time.Duration
	}
	// GiveUp cancels pulls and starts that are not complete.
	GiveUp struct{}
	// Remove deletes the object if Object is set, and removes the pod's folders. Result: Removed.
	Remove struct{ Object bool }
	// Announce records an event on a container, or on the pod.
	Announce struct {
		Container *corev1.Container // nil for the pod
		Event     events.Event
	}
	// Ask carries out a probe. Result: Probed.
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
	// Weigh asks whether the node has room for the pod with its new resources. If it has, the pod
	// has these resources from then on. Result: Weighed.
	Weigh struct {
		Pod    *corev1.Pod
		Before PendingResize
	}
	// Resize gives a guest the resources of its container. Result: Resized.
	Resize struct {
		Container *corev1.Container
		ID        string                      // of the run
		From      corev1.ResourceRequirements // what the guest has now
		Failed    string                      // the error of the last try, or empty
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
