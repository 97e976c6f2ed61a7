package volume

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// Mount shows a directory or file of the host at a path of the guest. The host's path contains no
// symbolic link.
type Mount struct {
	Host     string
	Guest    string // absolute and clean
	ReadOnly bool
}

// Run is a container's run, for Mounts.
type Run struct {
	Container *corev1.Container
	// Expand replaces variables of the container's environment in a subPathExpr.
	Expand func(expr string) (string, error)
	// Images are the folders of the images that volumes show, by the volumes' names. Their paths
	// contain no symbolic link. They are read-only, and other containers share them.
	Images map[string]string
	// Dir is a folder of the run. It is on the file system of the pod's volumes on disk. It is made
	// when it is needed.
	Dir string
}

// ErrImageMount means that an image cannot be mounted as the mount asks. The text is that of
// container runtimes.
var ErrImageMount = errors.New("ImageVolumeMountFailed")

// Mounts are the mounts of a run: the volumes that it sees. The volumes must be set up. A part
// (subPath) of a volume with content does not change while the run goes on.
func (v *Volumes) Mounts(run Run) ([]Mount, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return nil, ErrGone
	}
	for _, from := range v.made {
		if from.parts != "" { // from the container's last run
			if err := filetree.Remove(context.Background(), filepath.Join(from.parts, run.Container.Name)); err != nil {
				return nil, fmt.Errorf("clearing what the container's last run left: %w", err)
			}
		}
	}
	var mounts []Mount
	for i := range run.Container.VolumeMounts {
		asked := &run.Container.VolumeMounts[i]
		from, ok := v.made[asked.Name]
		if !ok {
			return nil, fmt.Errorf("volume %q of container %q is not set up", asked.Name, run.Container.Name)
		}
		guest := GuestPath(asked.MountPath)
		if guest == "/" {
			return nil, fmt.Errorf("volumeMount %q of container %q covers the container's root directory", asked.Name, run.Container.Name)
		}
		if from.kind.image != nil {
			if from.host = run.Images[asked.Name]; from.host == "" {
				return nil, fmt.Errorf("%w: volume %q of container %q has no image", ErrImageMount, asked.Name, run.Container.Name)
			}
		}
		copies := filepath.Join(run.Dir, strconv.Itoa(i))
		if from.parts != "" {
			copies = filepath.Join(from.parts, run.Container.Name, strconv.Itoa(i))
		}
		host, err := subPath(run, asked, from, copies)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, Mount{Host: host, Guest: guest, ReadOnly: asked.ReadOnly || from.readOnly})
	}
	return mounts, nil
}

// GuestPath makes a path of a pod's spec absolute and clean, because guests see it so.
func GuestPath(p string) string { return path.Join("/", p) }
