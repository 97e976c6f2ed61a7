package life

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// redefine notes that containers have another image. Only the image and the size of a container can
// change. The running guest is ended under every restart policy, and the container runs again with
// the new image.
func (s *Pod) redefine(pod *corev1.Pod) {
	for _, c := range s.containers {
		c.next = nil
		if spec := podspec.Container(pod, c.spec.Name); spec != nil && spec.Image != c.spec.Image {
			c.next = sized(spec, c.spec.Resources)
		}
	}
}

// restoreImage gives an adopted run the image with which it was started.
func (c *container) restoreImage(status *corev1.ContainerStatus) {
	if c.step != running || status.Image == "" || status.Image == c.spec.Image || podspec.RunID(status.ContainerID) != c.id {
		return
	}
	was := *c.spec
	was.Image = status.Image
	c.spec, c.next = &was, c.spec
}

// renew gives a container its new image. If its guest was ended for a resize, it lets the container
// run again.
func (d *decision) renew(c *container) {
	switch {
	case c.next == nil && c.again && !c.busy():
		c.step, c.again, c.waiting, c.pulls = fresh, false, nil, backOff{}
	case c.next == nil || c.passed():
	case c.step == running:
		kind := "Container"
		if c.kind.IsInit() {
			kind = "Init container"
		}
		c.quit(d, d.now.Add(d.grace()), events.Killing(fmt.Sprintf("%s %s definition changed, will be restarted", kind, c.spec.Name)))
	case !c.busy():
		c.spec, c.next = c.next, nil
		c.step, c.waiting = fresh, nil
		c.pulls, c.crashes = backOff{}, backOff{} // these were the delays of the old image
	}
}
