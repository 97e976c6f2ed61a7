package podsync

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
)

// keys are the credentials that a pod may pull with. If a Secret cannot be read, its credentials
// are missing, and there is an event.
func (w *podActions) keys(ctx context.Context, pod *corev1.Pod) registry.Keys {
	asked := credentials.Pod{
		Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), ServiceAccount: pod.Spec.ServiceAccountName,
	}
	var missing []string
	for _, ref := range pod.Spec.ImagePullSecrets {
		if ref.Name == "" {
			continue // the API server accepts empty names
		}
		secret, err := w.node.objects.Secret(ctx, pod.Namespace, ref.Name)
		if err != nil {
			w.log.Warn("cannot read an image pull secret", zap.String("secret", ref.Name), zap.Error(err))
			missing = append(missing, ref.Name)
			continue
		}
		asked.Secrets = append(asked.Secrets, secret)
	}
	if len(missing) > 0 && ctx.Err() == nil {
		w.record(pod, nil, events.SecretsMissing(missing))
	}
	return w.node.Credentials.For(asked)
}

// UsedImages are the images of the node's pods that have not ended: the names in their specs, and
// the IDs of the images that their containers run and their volumes show. The list is complete once
// Synced is closed.
func (m *Manager) UsedImages() []string {
	var used []string
	for _, pod := range m.Pods() {
		if podspec.Terminal(pod.Status.Phase) {
			continue
		}
		for _, c := range podspec.Containers(pod) {
			used = append(used, c.Image)
		}
		used = append(used, m.shownTo(pod)...)
		for _, statuses := range [][]corev1.ContainerStatus{
			pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses,
		} {
			for _, s := range statuses {
				if s.ImageID != "" {
					used = append(used, s.ImageID)
				}
			}
		}
	}
	return used
}

// shownTo are the images that a pod's volumes show.
func (m *Manager) shownTo(pod *corev1.Pod) []string {
	var used []string
	for _, image := range volume.Images(pod) {
		used = append(used, image.Reference)
	}
	if len(used) == 0 {
		return nil
	}
	ids, err := m.layout().Of(pod).Shown()
	if err != nil {
		m.Log.Warn("images that are in use may be removed", zap.String("uid", string(pod.UID)), zap.Error(err))
	}
	return append(used, ids...)
}

// neededImage is an image that a container needs: its own, or that of a volume.
type neededImage struct {
	image  string
	policy corev1.PullPolicy
	volume string // the volume's name; empty for the container's own image
}

// neededImages are the images of a container, its own last. They do not include images of volumes
// that only other containers mount.
func neededImages(pod *corev1.Pod, c *corev1.Container) []neededImage {
	var all []neededImage
	for _, image := range volume.Images(pod) {
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == image.Volume }) {
			all = append(all, neededImage{image.Reference, image.PullPolicy, image.Volume})
		}
	}
	return append(all, neededImage{image: c.Image, policy: c.ImagePullPolicy})
}

// countShown counts the images that volumes show to a container. err is the error of its mounts.
func (w *podActions) countShown(c *corev1.Container, shown map[string]registry.Module, err error) {
	w.node.Metrics.ImageVolumes.Add(float64(len(shown)))
	for _, m := range c.VolumeMounts {
		switch _, is := shown[m.Name]; {
		case !is:
		case err == nil:
			w.node.Metrics.ImageMounts.Inc()
		case errors.Is(err, volume.ErrImageMount):
			w.node.Metrics.ImageMountsFailed.Inc()
		}
	}
}

// foldersOf are the folders of images, by volume. Their paths contain no symbolic link.
func foldersOf(shown map[string]registry.Module) (map[string]string, error) {
	folders := map[string]string{}
	for name, image := range shown {
		dir, err := filepath.EvalSymlinks(image.Root.Dir) // the data directory may be behind a link
		if err != nil {
			return nil, fmt.Errorf("%w: volume %q: %w", volume.ErrImageMount, name, err)
		}
		folders[name] = dir
	}
	return folders, nil
}
