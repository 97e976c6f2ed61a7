package podsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// keysOf are the credentials that a pod may pull with. Of its Secrets, those that cannot be read are told of and left out.
func (m *Manager) keysOf(ctx context.Context, w *podActions, pod *corev1.Pod) registry.Keys {
	asked := credentials.Pod{
		Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), ServiceAccount: pod.Spec.ServiceAccountName,
	}
	var missing []string
	for _, ref := range pod.Spec.ImagePullSecrets {
		if ref.Name == "" {
			continue // the API server takes such
		}
		secret, err := m.objects.Secret(ctx, pod.Namespace, ref.Name)
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
	return m.Credentials.For(asked)
}

// UsedImages are the images of the node's pods that have not ended: as their specs name them, and the IDs of those that
// their containers run and that their volumes show. They are known completely once Synced is closed.
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
	for _, v := range pod.Spec.Volumes {
		if v.Image != nil {
			used = append(used, v.Image.Reference)
		}
	}
	if len(used) == 0 {
		return nil
	}
	ids, err := m.dirs(pod).shown()
	if err != nil {
		m.Log.Warn("images that are in use may be removed", zap.String("uid", string(pod.UID)), zap.Error(err))
	}
	return append(used, ids...)
}

// ImagesOnDisk are the IDs of the images that the pods below a data directory run or are shown, whether their agent runs or not.
func ImagesOnDisk(dataDir string) ([]string, error) {
	if _, err := os.Lstat(notesDir(dataDir)); errors.Is(err, fs.ErrNotExist) {
		if pods, err := entriesOf(podsDir(dataDir)); err != nil || len(pods) > 0 {
			return nil, errors.Join(fmt.Errorf("which images the pods of %s run is not known: they are of an earlier version; start the agent of this one first", dataDir), err)
		}
	}
	pods := podDirs{notes: filepath.Join(notesDir(dataDir), "*")}
	files, err := filepath.Glob(pods.specFile("*"))
	if err != nil {
		return nil, err
	}
	used, err := pods.shown()
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		var spec runtime.Spec
		err := readJSON(file, &spec)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("which images the pods of %s run is not known, so none can be said to be free; delete the pod whose UID is in the path: %w", dataDir, err)
		}
		used = append(used, spec.Of.ImageID)
	}
	return used, nil
}
