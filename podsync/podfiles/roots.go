package podfiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/podsync/overlay"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// makeRoot makes the root directory of one run of a container. If the image has a root filesystem
// in a folder, the directory first has the same content, and the run makes its own changes to it.
// Otherwise it is empty except for /tmp. A read-only root directory is the image's folder itself.
func (d Pod) makeRoot(ctx context.Context, c *corev1.Container, image string) (runtime.Mount, error) {
	m := runtime.Mount{Guest: "/", ReadOnly: c.SecurityContext != nil && ptr.Deref(c.SecurityContext.ReadOnlyRootFilesystem, false)}
	var err error
	switch dir := d.Container(c.Name); {
	case image == "":
		m.Host = filepath.Join(dir, "root")
		err = os.Mkdir(m.Host, 0o700)
	case m.ReadOnly:
		m.Host = image
	default:
		var from string
		if from, err = filepath.EvalSymlinks(image); err == nil {
			m.Host, err = overlay.Make(ctx, dir, from)
		}
	}
	if err == nil && (image == "" || !m.ReadOnly) {
		// The image may already have /tmp.
		if err = os.Mkdir(filepath.Join(m.Host, "tmp"), 0o700); errors.Is(err, os.ErrExist) {
			err = nil
		}
	}
	if err == nil {
		m.Host, err = filepath.EvalSymlinks(m.Host) // the data directory may be a link
	}
	if err != nil {
		return runtime.Mount{}, fmt.Errorf("making the container's root directory: %w", err)
	}
	return m, nil
}

// ClearRoots removes the root directories of a pod whose runs have all ended.
func (d Pod) ClearRoots(ctx context.Context, pod *corev1.Pod) error {
	var errs []error
	for _, c := range podspec.Containers(pod) {
		for _, folder := range overlay.Folders() {
			errs = append(errs, volume.Remove(ctx, filepath.Join(d.Container(c.Name), folder)))
		}
	}
	return errors.Join(errs...)
}
