package podfiles

import (
	resourcehelper "k8s.io/component-helpers/resource"

	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// Outgrown checks the limits of ephemeral storage. A container's own limit counts its log and what
// it writes to its root directory. The pod's limit is the sum of the containers' limits, and counts
// everything that the pod has on disk. An error means that some files could not be counted.
func (d Pod) Outgrown(ctx context.Context, pod *corev1.Pod) (string, error) {
	limit, limited := StorageLimit(pod)
	if !limited {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, volume.CountTime)
	defer cancel()
	used, err := d.Taken(ctx, pod)
	exceeds := func(u filetree.Usage, limit resource.Quantity, message string) string {
		switch {
		case !u.Exceeds(limit.Value()):
			return ""
		case u.Bytes <= limit.Value():
			message += volume.Uncounted
		}
		return message
	}
	if message := exceeds(used.Pod, limit, fmt.Sprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s. ", limit.String())); message != "" {
		return message, nil
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		limit := c.Resources.Limits.StorageEphemeral()
		if limit.IsZero() {
			continue
		}
		if message := exceeds(used.Containers[c.Name], *limit, fmt.Sprintf("Container %s exceeded its local ephemeral storage limit %q. ", c.Name, limit.String())); message != "" {
			return message, nil
		}
	}
	return "", err
}

// OnDisk is what a pod has on disk.
type OnDisk struct {
	Pod        filetree.Usage
	Containers map[string]filetree.Usage // the root directory and the logs of each
}

// Taken counts a pod's files and logs. After an error, which the pod did not cause, there may be
// more files than it counted.
func (d Pod) Taken(ctx context.Context, pod *corev1.Pod) (OnDisk, error) {
	var roots, logs []*filetree.Part
	all := podspec.Containers(pod)
	for _, c := range all {
		roots, logs = append(roots, &filetree.Part{Path: "containers/" + c.Name}), append(logs, &filetree.Part{Path: c.Name})
	}
	files, first := filetree.Count(ctx, d.Dir, volume.MaxFiles, roots...)
	printed, second := filetree.Count(ctx, d.logs, volume.MaxFiles, logs...)
	t := OnDisk{Pod: files.Plus(printed), Containers: map[string]filetree.Usage{}}
	for i, c := range all {
		t.Containers[c.Name] = roots[i].Usage.Plus(logs[i].Usage)
	}
	return t, errors.Join(first, second)
}

// StorageLimit is how much all containers of a pod may have on disk together. limited is true if
// one of them has a limit.
func StorageLimit(pod *corev1.Pod) (limit resource.Quantity, limited bool) {
	limit, limited = resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceEphemeralStorage]
	return limit, limited
}
