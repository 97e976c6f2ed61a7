package life

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// New requests and limits of a running pod. The resources in a container's spec are those that it
// has: first from the pod's admission, later from each resize for which the node had room. If the
// newest object asks for other resources, the machine asks the node for room. Once there is room,
// guests get the new size while they run. If their resize policy wants a restart, they run again.
type (
	// Weighed is the node's answer. No is nil if there is room, or says why there is none.
	Weighed struct {
		Pod *corev1.Pod
		No  *Refusal
	}
	// Resized is the result of resizing a guest.
	Resized struct {
		Container string
		ID        string // of the run
		To        corev1.ResourceRequirements
		Err       error
	}
)

// size is the size of a run.
type size struct {
	actual   corev1.ResourceRequirements // the resources with which it was started or resized last
	progress progress                    // pending or going on
	retryAt  time.Time                   // when the next try begins
}

// resizing is the state of a pod's resize.
type resizing struct {
	weighing bool
	pending  PendingResize
	retryAt  time.Time // when the pending resize is tried again

	going bool   // there is room, and guests are being resized
	of    int64  // the generation of the object that has the new size
	err   string // why the resize fails
}

// PendingResize is a resize for which the node has no room. If the reason is empty, no resize is
// pending.
type PendingResize struct {
	Refusal
	generation int64
}

// Delays before the next try: of a resize for which there was no room, and of one that failed.
const (
	weighRetry  = 10 * time.Second
	resizeRetry = 10 * time.Second
)

// resizable reports whether a container's resources may change while it runs.
func (c *container) resizable() bool { return c.kind == podspec.App || c.kind == podspec.Sidecar }

// sameSize reports whether two containers have the same resources that can be resized.
func sameSize(a, b corev1.ResourceRequirements) bool {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if !sameAmount(a.Requests, b.Requests, name) || !sameAmount(a.Limits, b.Limits, name) {
			return false
		}
	}
	return true
}

func sameAmount(a, b corev1.ResourceList, name corev1.ResourceName) bool {
	x, y := a[name], b[name]
	return x.Cmp(y) == 0
}

// sized returns a container's spec with other resources.
func sized(spec *corev1.Container, to corev1.ResourceRequirements) *corev1.Container {
	other := *spec
	other.Resources = to
	return &other
}

// resize brings the pod nearer to the resources that its newest object wants.
func (d *decision) resize() {
	r := &d.resizing
	switch {
	case !d.outgrown():
		r.pending = PendingResize{}
	case r.weighing, r.hopeless(d.pod), r.pending.of(d.pod) && !d.due(r.retryAt):
	default:
		r.weighing = true
		d.do(Weigh{d.pod, r.pending})
	}
	going := false
	for _, c := range d.containers {
		going = d.resizeContainer(c) || going
	}
	if r.going && !r.weighing && !going {
		r.going, r.err = false, ""
		d.do(Announce{nil, events.ResizeCompleted(d.Given(), r.of)})
	}
}

func (p PendingResize) of(pod *corev1.Pod) bool {
	return p.Reason != "" && p.generation == pod.Generation
}

// Is reports whether a refusal is the same as the pending one.
func (p PendingResize) Is(no *Refusal, pod *corev1.Pod) bool {
	return no.Reason == p.Reason && pod.Generation == p.generation
}

// hopeless reports whether the node can never have room for the resources that a pod wants.
func (r *resizing) hopeless(pod *corev1.Pod) bool {
	return r.pending.of(pod) && r.pending.Reason == corev1.PodReasonInfeasible
}

// outgrown reports whether the newest object wants other resources than its containers have.
func (s *Pod) outgrown() bool {
	return slices.ContainsFunc(s.containers, func(c *container) bool {
		spec := podspec.Container(s.pod, c.spec.Name)
		return c.resizable() && spec != nil && !sameSize(spec.Resources, c.spec.Resources)
	})
}

// resizeContainer gives a running guest the resources in its container's spec. It reports whether
// the guest does not have them yet.
func (d *decision) resizeContainer(c *container) bool {
	if c.step != running || !c.resizable() || sameSize(c.size.actual, c.spec.Resources) {
		return false
	}
	switch {
	case c.next != nil: // it will be restarted for its new image
	case c.restartsToResize():
		c.again = true
		c.quit(d, d.now.Add(d.grace()), events.Killing(fmt.Sprintf("Container %s resize requires restart", c.spec.Name)))
	case c.size.progress == pending && d.due(c.size.retryAt):
		c.size.progress = underWay
		d.do(Resize{c.spec, c.id, c.size.actual, d.resizing.err})
	}
	return true
}

// restartsToResize reports whether the container wants a restart for a resource that has changed.
func (c *container) restartsToResize() bool {
	return slices.ContainsFunc(c.spec.ResizePolicy, func(p corev1.ContainerResizePolicy) bool {
		if p.RestartPolicy != corev1.RestartContainer {
			return false
		}
		is, to := c.size.actual, c.spec.Resources
		return !sameAmount(is.Requests, to.Requests, p.ResourceName) || !sameAmount(is.Limits, to.Limits, p.ResourceName)
	})
}

// apply gives containers the resources for which the node has room.
func (e Weighed) apply(s *Pod, now time.Time) {
	r := &s.resizing
	r.weighing = false
	if e.No != nil {
		r.pending, r.retryAt = PendingResize{*e.No, e.Pod.Generation}, now.Add(weighRetry)
		return
	}
	r.pending, r.going, r.of, r.err = PendingResize{}, true, e.Pod.Generation, ""
	for _, c := range s.containers {
		spec := podspec.Container(e.Pod, c.spec.Name)
		if spec == nil || !c.resizable() {
			continue
		}
		c.spec, c.size.retryAt = sized(c.spec, spec.Resources), time.Time{}
		if c.next != nil {
			c.next = sized(c.next, spec.Resources)
		}
	}
}

func (e Resized) apply(s *Pod, now time.Time) {
	c := s.find(e.Container)
	if c.id != e.ID {
		return // of an earlier run
	}
	c.size.progress = pending
	if e.Err != nil {
		c.size.retryAt, s.resizing.err = now.Add(resizeRetry), e.Err.Error()
		return
	}
	c.size.actual = e.To
}

// Given is the pod with the resources that its containers have. The newest object may have others.
func (s *Pod) Given() *corev1.Pod {
	if !s.outgrown() {
		return s.pod
	}
	pod := *s.pod
	pod.Spec.InitContainers, pod.Spec.Containers = slices.Clone(pod.Spec.InitContainers), slices.Clone(pod.Spec.Containers)
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if c := s.find(list[i].Name); c != nil && c.resizable() {
				list[i].Resources = c.spec.Resources
			}
		}
	}
	return &pod
}

// restoreSize restores the resources of a container from its status. An agent writes them there
// once the guest has them.
func (c *container) restoreSize(status *corev1.ContainerStatus) {
	if status.Resources != nil && c.resizable() {
		c.spec = sized(c.spec, *status.Resources)
	}
	c.size.actual = c.spec.Resources
}

// restoreResize restores an incomplete resize from a status.
func (s *Pod) restoreResize(status *corev1.PodStatus) {
	for _, c := range status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == corev1.PodResizePending:
			s.resizing.pending = PendingResize{Refusal{c.Reason, c.Message}, c.ObservedGeneration}
		case c.Type == corev1.PodResizeInProgress:
			s.resizing.going, s.resizing.of, s.resizing.err = true, c.ObservedGeneration, c.Message
		}
	}
}

// showSize sets the resources of a container in its status, if the container has run.
func (c *container) showSize(status *corev1.ContainerStatus) {
	if c.kind == podspec.Ephemeral || c.attempt < 0 {
		return
	}
	status.AllocatedResources = c.spec.Resources.DeepCopy().Requests
	size := c.spec.Resources
	if c.step == running {
		size = c.size.actual
	}
	status.Resources = size.DeepCopy()
}

// showResize sets the conditions of an incomplete resize. It removes those of a complete one.
func (s statement) showResize(status *corev1.PodStatus) {
	r := &s.resizing
	ended := podspec.Terminal(status.Phase)
	show := func(kind corev1.PodConditionType, is bool, reason, message string, generation int64) {
		other := func(c corev1.PodCondition) bool { return c.Type == kind && (!is || ended || c.Reason != reason) }
		status.Conditions = slices.DeleteFunc(status.Conditions, other)
		if is && !ended {
			c := condition(kind, true, reason, message)
			c.ObservedGeneration = generation
			setCondition(status, c, s.now)
		}
	}
	show(corev1.PodResizePending, r.pending.Reason != "", r.pending.Reason, r.pending.Message, r.pending.generation)
	reason := ""
	if r.err != "" {
		reason = corev1.PodReasonError
	}
	show(corev1.PodResizeInProgress, r.going, reason, r.err, r.of)
}
