package podsync

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// addHTTP adds to a spec how the container is served if its image is an HTTP handler, and the
// folders of its configuration. The agent does not know which images are handlers, so every
// container gets this.
func (w *podActions) addHTTP(ctx context.Context, spec *runtime.Spec, pod *corev1.Pod, c *corev1.Container, module registry.Module, at podspec.Reach) error {
	says, err := podspec.HTTPOf(pod)
	if err != nil {
		return err
	}
	spec.HTTP = says.Settings
	spec.HTTP.Listen, spec.HTTP.ListenTLS = podspec.HTTPSockets(pod, c, exposedPorts(module), at, says.Certificate != "")
	if says.Certificate != "" {
		if spec.HTTP.Certificate, err = w.folder(ctx, pod, says.Certificate); err != nil {
			return fmt.Errorf("looking for the certificate of HTTP handlers: %w", err)
		}
	}
	for _, name := range says.Config {
		dir, err := w.folder(ctx, pod, name)
		if err != nil {
			return fmt.Errorf("looking for the container's configuration: %w", err)
		}
		spec.ConfigFolders = append(spec.ConfigFolders, dir)
	}
	return nil
}

// folder is the folder of a volume that an annotation names. A volume whose annotation is newer
// than the pod is set up now.
func (w *podActions) folder(ctx context.Context, pod *corev1.Pod, volume string) (string, error) {
	dir, there, err := w.volumes.Folder(volume)
	if there {
		return dir, err
	}
	if err := w.setUpVolumes(ctx, pod); err != nil {
		return "", err
	}
	if dir, there, err = w.volumes.Folder(volume); !there {
		return "", errors.New("the pod's volumes were removed")
	}
	return dir, err
}
