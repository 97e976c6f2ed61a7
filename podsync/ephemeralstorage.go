package podsync

import (
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
)

// outgrown says, in the kubelet's words, which of a pod's limits on the disk has been exceeded, or nothing.
func (w *worker) outgrown(pod *corev1.Pod) string {
	if message := w.volumes.Exceeded(pod); message != "" {
		return message
	}
	return w.dirs.outgrown(pod)
}

// outgrown looks at limits of ephemeral storage: what a container writes to its root directory and prints counts for its own, and
// that and all on disk that goes with the pod for the pod's, which is the sum.
func (d podDirs) outgrown(pod *corev1.Pod) string {
	if limit, limited := storageLimit(pod); limited && volume.Spent(d.pod, d.logs) > limit.Value() {
		return fmt.Sprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s. ", limit.String())
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		limit := c.Resources.Limits.StorageEphemeral()
		if limit.IsZero() {
			continue
		}
		if volume.Spent(d.container(c.Name), filepath.Dir(d.log(c.Name, 0))) > limit.Value() {
			return fmt.Sprintf("Container %s exceeded its local ephemeral storage limit %q. ", c.Name, limit.String())
		}
	}
	return ""
}

// storageLimit is what all containers of a pod may have on disk together, if any of them is limited.
func storageLimit(pod *corev1.Pod) (limit resource.Quantity, limited bool) {
	limit, limited = resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceEphemeralStorage]
	return limit, limited
}
