package podsync

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// neededImage is one that a container needs: its own, or one that a volume shows.
type neededImage struct {
	image  string
	policy corev1.PullPolicy
	volume string // the volume's name; empty: the container's own
}

// neededImages are those of a container, its own last. What another container mounts holds it not back.
func neededImages(pod *corev1.Pod, c *corev1.Container) []neededImage {
	var all []neededImage
	for _, v := range pod.Spec.Volumes {
		mounts := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name })
		if v.Image != nil && mounts {
			all = append(all, neededImage{v.Image.Reference, v.Image.PullPolicy, v.Name})
		}
	}
	return append(all, neededImage{image: c.Image, policy: c.ImagePullPolicy})
}

// countShown counts the images that a container is shown, whose mounts came to err.
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

// foldersOf are the folders of images, by volume. They lead through no symbolic link.
func foldersOf(shown map[string]registry.Module) (map[string]string, error) {
	folders := map[string]string{}
	for name, image := range shown {
		dir, err := filepath.EvalSymlinks(image.Root.Dir) // the data directory may lie behind one
		if err != nil {
			return nil, fmt.Errorf("%w: volume %q: %w", volume.ErrImageMount, name, err)
		}
		folders[name] = dir
	}
	return folders, nil
}

// keepShown notes which images a run is to be shown, before it begins: as long as it goes on they are in use, whatever their
// references come to mean, and whichever agent is there.
func (d podDirs) keepShown(container string, shown map[string]registry.Module) error {
	if len(shown) == 0 {
		return nil
	}
	var ids strings.Builder
	for _, image := range shown {
		ids.WriteString(image.ImageID + "\n")
	}
	if err := writeWhole(d.shownFile(container), ids.String()); err != nil {
		return fmt.Errorf("noting which images the container is shown: %w", err)
	}
	return nil
}

// shown are the IDs of the images that a pod's volumes show. The folder of notes may be a pattern, for several pods.
func (d podDirs) shown() ([]string, error) {
	files, err := filepath.Glob(d.shownFile("*"))
	if err != nil {
		return nil, err
	}
	var used []string
	for _, file := range files {
		content, err := readState(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("reading which images containers are shown: %w", err)
		}
		used = append(used, strings.Fields(string(content))...)
	}
	return used, nil
}
