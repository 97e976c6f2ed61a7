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

// Mount shows a directory or file of the host, whose path leads through no symbolic link, at a path of the guest.
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
	// Images are the folders with the files of the images that volumes show, by the volumes' names. They lead through no symbolic
	// link, are read only, and are shared with others.
	Images map[string]string
	// Dir is a folder of the run, on the file system of the pod's volumes that are on disk. It is made when it is needed.
	Dir string
}

// ErrImageMount is an image that cannot be mounted as asked. The text is that of container runtimes.
var ErrImageMount = errors.New("ImageVolumeMountFailed")

// Mounts are what a run sees of the volumes, which are set up. A part of a volume with content (subPath) is what it is
// now for as long as the run goes on.
func (v *Volumes) Mounts(run Run) ([]Mount, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return nil, ErrGone
	}
	for _, from := range v.made {
		if from.parts != "" { // what an earlier run had
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

// GuestPath is a path of a pod's spec as a guest knows it: absolute and clean.
func GuestPath(p string) string { return path.Join("/", p) }
