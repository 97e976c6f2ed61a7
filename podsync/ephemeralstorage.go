package podsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// Bounds of looking at what pods take on disk: how many are looked at at a time, and how long a pod is left alone after a look, in
// times of what that took.
const (
	parallelLooks = 2
	looksApart    = 20
)

// outgrown says, in the kubelet's words, which of a pod's limits on the disk has been exceeded, or nothing; and how long the look took.
func (w *podActions) outgrown(ctx context.Context, pod *corev1.Pod) (message string, took time.Duration) {
	select {
	case w.node.looks <- struct{}{}:
	case <-ctx.Done():
		return "", 0
	}
	defer func() { <-w.node.looks }()
	began := time.Now()
	message, err := w.volumes.Exceeded(ctx, pod)
	if message == "" {
		var own error
		message, own = w.dirs.outgrown(ctx, pod)
		err = errors.Join(err, own)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("cannot tell what the pod has on disk, will look again", zap.Error(err))
	}
	return message, time.Since(began)
}

// outgrown looks at limits of ephemeral storage: what a container writes to its root directory and prints counts for its own, and
// that and all on disk that goes with the pod for the pod's, which is the sum. With an error not all could be looked at.
func (d podDirs) outgrown(ctx context.Context, pod *corev1.Pod) (string, error) {
	limit, limited := storageLimit(pod)
	if !limited {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, volume.CountTime)
	defer cancel()
	used, err := d.taken(ctx, pod)
	exceeds := func(u filetree.Usage, limit resource.Quantity, message string) string {
		switch {
		case !u.Exceeds(limit.Value()):
			return ""
		case u.Bytes <= limit.Value():
			message += volume.Uncounted
		}
		return message
	}
	if message := exceeds(used.pod, limit, fmt.Sprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s. ", limit.String())); message != "" {
		return message, nil
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		limit := c.Resources.Limits.StorageEphemeral()
		if limit.IsZero() {
			continue
		}
		if message := exceeds(used.containers[c.Name], *limit, fmt.Sprintf("Container %s exceeded its local ephemeral storage limit %q. ", c.Name, limit.String())); message != "" {
			return message, nil
		}
	}
	return "", err
}

// onDisk is what a pod has on disk.
type onDisk struct {
	pod        filetree.Usage
	containers map[string]filetree.Usage // of each the root directory and the logs
}

// taken counts a pod's files and logs. With an error, which is none of theirs, there may be more.
func (d podDirs) taken(ctx context.Context, pod *corev1.Pod) (onDisk, error) {
	var roots, logs []*filetree.Part
	all := podspec.Containers(pod)
	for _, c := range all {
		roots, logs = append(roots, &filetree.Part{Path: "containers/" + c.Name}), append(logs, &filetree.Part{Path: c.Name})
	}
	files, first := filetree.Count(ctx, d.pod, volume.MaxFiles, roots...)
	printed, second := filetree.Count(ctx, d.logs, volume.MaxFiles, logs...)
	t := onDisk{pod: files.Plus(printed), containers: map[string]filetree.Usage{}}
	for i, c := range all {
		t.containers[c.Name] = roots[i].Usage.Plus(logs[i].Usage)
	}
	return t, errors.Join(first, second)
}

// storageLimit is what all containers of a pod may have on disk together, if any of them is limited.
func storageLimit(pod *corev1.Pod) (limit resource.Quantity, limited bool) {
	limit, limited = resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceEphemeralStorage]
	return limit, limited
}
