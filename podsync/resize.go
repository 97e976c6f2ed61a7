package podsync

import (
	"fmt"
	"slices"
	"time"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	corev1 "k8s.io/api/core/v1"
)

// Other requests and limits of a pod that runs. A container's spec has what it was given: the resources with which the pod
// was taken, and later those that the node had room for. What the newest object asks for beyond that is weighed by the node; once
// there is room, guests are resized as they run, or run again where their resize policy wants it.
type (
	// weigh asks whether the node has room for a pod as it is to be, which it then has. Result: weighed.
	weigh struct {
		pod    *corev1.Pod
		before pendingResize
	}
	// weighed is the node's answer: nothing, or why not.
	weighed struct {
		pod *corev1.Pod
		no  *refusal
	}
	// resize gives a guest the resources of its container. Result: resized.
	resize struct {
		container *corev1.Container
		id        string                      // of the run
		from      corev1.ResourceRequirements // what it has
		failed    string                      // how it went last
	}
	// resized is how that went.
	resized struct {
		container string
		id        string
		to        corev1.ResourceRequirements
		err       error
	}
)

// resizing is where a pod stands with it.
type resizing struct {
	weighing bool
	pending  pendingResize
	retryAt  time.Time // of one that is pending

	going bool   // there is room, and guests are being resized
	of    int64  // the generation that they are resized to
	err   string // why that does not succeed
}

// pendingResize is one that the node has no room for; without a reason there is none.
type pendingResize struct {
	refusal
	generation int64
}

// How soon is tried again what did not fit, or did not succeed.
const (
	weighRetry  = 10 * time.Second
	resizeRetry = 10 * time.Second
)

// resizable says whether a container's resources may change as it runs.
func (c *containerState) resizable() bool { return !c.ephemeral && (!c.init || c.sidecar) }

// sameSize says whether two containers are the same in what can be resized.
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

// sized is a container's spec with other resources.
func sized(spec *corev1.Container, to corev1.ResourceRequirements) *corev1.Container {
	other := *spec
	other.Resources = to
	return &other
}

// decideResize brings the pod nearer to the resources that its newest object asks for.
func (s *podState) decideResize(d *decision) {
	r := &s.resizing
	switch {
	case !s.outgrown():
		r.pending = pendingResize{}
	case r.weighing, r.hopeless(s.pod), r.pending.of(s.pod) && !d.due(r.retryAt):
	default:
		r.weighing = true
		d.do(weigh{s.pod, r.pending})
	}
	going := false
	for _, c := range s.containers {
		going = s.resizeContainer(d, c) || going
	}
	if r.going && !r.weighing && !going {
		r.going, r.err = false, ""
		d.do(announce{nil, events.ResizeCompleted(s.given(), r.of)})
	}
}

func (p pendingResize) of(pod *corev1.Pod) bool {
	return p.reason != "" && p.generation == pod.Generation
}

// hopeless says whether the node can never have room for what a pod asks for.
func (r *resizing) hopeless(pod *corev1.Pod) bool {
	return r.pending.of(pod) && r.pending.reason == corev1.PodReasonInfeasible
}

// outgrown says whether the newest object asks for other resources than its containers were given.
func (s *podState) outgrown() bool {
	return slices.ContainsFunc(s.containers, func(c *containerState) bool {
		spec := podspec.Container(s.pod, c.spec.Name)
		return c.resizable() && spec != nil && !sameSize(spec.Resources, c.spec.Resources)
	})
}

// resizeContainer gives a guest that runs what its container was given, and says whether it lacks that.
func (s *podState) resizeContainer(d *decision, c *containerState) bool {
	if c.step != running || !c.resizable() || sameSize(c.actual, c.spec.Resources) {
		return false
	}
	switch {
	case c.next != nil: // it is restarted anyway
	case c.restartsToResize():
		c.again = true
		c.quit(d, d.now.Add(s.grace()), events.Killing(fmt.Sprintf("Container %s resize requires restart", c.spec.Name)))
	case c.resize == todo && d.due(c.resizeAt):
		c.resize = doing
		d.do(resize{c.spec, c.id, c.actual, s.resizing.err})
	}
	return true
}

// restartsToResize says whether a resource is another of which the container asks to be restarted for that.
func (c *containerState) restartsToResize() bool {
	return slices.ContainsFunc(c.spec.ResizePolicy, func(p corev1.ContainerResizePolicy) bool {
		if p.RestartPolicy != corev1.RestartContainer {
			return false
		}
		is, to := c.actual, c.spec.Resources
		return !sameAmount(is.Requests, to.Requests, p.ResourceName) || !sameAmount(is.Limits, to.Limits, p.ResourceName)
	})
}

// applyWeighed gives containers what the node has room for.
func (s *podState) applyWeighed(e weighed, now time.Time) {
	r := &s.resizing
	r.weighing = false
	if e.no != nil {
		r.pending, r.retryAt = pendingResize{*e.no, e.pod.Generation}, now.Add(weighRetry)
		return
	}
	r.pending, r.going, r.of, r.err = pendingResize{}, true, e.pod.Generation, ""
	for _, c := range s.containers {
		spec := podspec.Container(e.pod, c.spec.Name)
		if spec == nil || !c.resizable() {
			continue
		}
		c.spec, c.resizeAt = sized(c.spec, spec.Resources), time.Time{}
		if c.next != nil {
			c.next = sized(c.next, spec.Resources)
		}
	}
}

func (s *podState) applyResized(e resized, now time.Time) {
	c := s.container(e.container)
	if c.id != e.id {
		return // of a run that has ended
	}
	c.resize = todo
	if e.err != nil {
		c.resizeAt, s.resizing.err = now.Add(resizeRetry), e.err.Error()
		return
	}
	c.actual = e.to
}

// given is the pod with the resources that its containers were given, which may be other than the newest object's.
func (s *podState) given() *corev1.Pod {
	if !s.outgrown() {
		return s.pod
	}
	pod := *s.pod
	pod.Spec.InitContainers, pod.Spec.Containers = slices.Clone(pod.Spec.InitContainers), slices.Clone(pod.Spec.Containers)
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if c := s.container(list[i].Name); c != nil && c.resizable() {
				list[i].Resources = c.spec.Resources
			}
		}
	}
	return &pod
}

// restoreSize takes over the resources that a container had: those of its status, which an agent writes once they are so.
func (c *containerState) restoreSize(status *corev1.ContainerStatus) {
	if status.Resources != nil && c.resizable() {
		c.spec = sized(c.spec, *status.Resources)
	}
	c.actual = c.spec.Resources
}

// restoreResize takes over what a status says of a resize that was not done.
func (s *podState) restoreResize(status *corev1.PodStatus) {
	for _, c := range status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == corev1.PodResizePending:
			s.resizing.pending = pendingResize{refusal{c.Reason, c.Message}, c.ObservedGeneration}
		case c.Type == corev1.PodResizeInProgress:
			s.resizing.going, s.resizing.of, s.resizing.err = true, c.ObservedGeneration, c.Message
		}
	}
}

// showSize sets what a status says of a container's resources, once it has run.
func (c *containerState) showSize(status *corev1.ContainerStatus) {
	if c.ephemeral || c.attempt < 0 {
		return
	}
	status.AllocatedResources = c.spec.Resources.DeepCopy().Requests
	size := c.spec.Resources
	if c.step == running {
		size = c.actual
	}
	status.Resources = size.DeepCopy()
}

// showResize sets the conditions of a resize that is not done, and takes away those of one that is.
func (s *podState) showResize(status *corev1.PodStatus, now time.Time) {
	r := &s.resizing
	over := podspec.Terminal(status.Phase)
	show := func(kind corev1.PodConditionType, is bool, reason, message string, generation int64) {
		other := func(c corev1.PodCondition) bool { return c.Type == kind && (!is || over || c.Reason != reason) }
		status.Conditions = slices.DeleteFunc(status.Conditions, other)
		if is && !over {
			c := condition(kind, true, reason, message)
			c.ObservedGeneration = generation
			setCondition(status, c, now)
		}
	}
	show(corev1.PodResizePending, r.pending.reason != "", r.pending.reason, r.pending.message, r.pending.generation)
	reason := ""
	if r.err != "" {
		reason = corev1.PodReasonError
	}
	show(corev1.PodResizeInProgress, r.going, reason, r.err, r.of)
}
