package volume

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// These bound one count of files, because guests choose their number. A directory that exceeds them
// counts as too large.
const (
	MaxFiles  = 1_000_000
	CountTime = 30 * time.Second
)

// Uncounted is added to the message about a directory that is too large because not all of it was
// counted.
const Uncounted = "Not all of its files could be counted. "

// Exceeded returns a message, in the kubelet's words, about an emptyDir that holds more than its
// sizeLimit. It returns an empty message if there is none. Volumes in memory are not counted,
// because the kernel bounds them. An error means that some volumes could not be counted.
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
