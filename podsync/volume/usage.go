package volume

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// Bounds of one count of files whose number guests choose. What is beyond takes too much.
const (
	MaxFiles  = 1_000_000
	CountTime = 30 * time.Second
)

// Uncounted is added to what is said of something that takes too much because it could not be counted.
const Uncounted = "Not all of its files could be counted. "

// Exceeded says, in the kubelet's words, which emptyDir holds more than its sizeLimit, or nothing. What is in memory has its
// bound from the kernel, and is not looked at. With an error not all could be looked at, which is not their fault.
func (v *Volumes) Exceeded(ctx context.Context, pod *corev1.Pod) (string, error) {
	var errs []error
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		m, ok := v.get(volume.Name)
		limit := limitOf(&volume.VolumeSource)
		if !ok || limit == nil || limit.Sign() <= 0 {
			continue
		}
		if on, err := isMount(m.host); err != nil || on {
			continue
		}
		used, err := taken(ctx, m.host)
		if used.Exceeds(limit.Value()) {
			message := fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", volume.Name, limit.String())
			if used.Bytes <= limit.Value() {
				message += Uncounted
			}
			return message, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// taken is what a directory takes on disk.
func taken(ctx context.Context, dir string) (filetree.Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, CountTime)
	defer cancel()
	return filetree.Count(ctx, dir, MaxFiles)
}
