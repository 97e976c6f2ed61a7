package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// tmpfsSource is the source, in the mount table, of the mounts that this package makes. The package
// unmounts only these.
const tmpfsSource = "krustlet-wasi"

func isEmptyDir(volume *corev1.VolumeSource) bool { return volume.EmptyDir != nil }

func sizeLimit(volume *corev1.VolumeSource) *resource.Quantity { return volume.EmptyDir.SizeLimit }

func makeEmptyDir(_ context.Context, v *Volumes, pod *corev1.Pod, volume *corev1.Volume) (made, error) {
	host, err := v.emptyDir(pod, volume)
	return made{host: host}, err
}

// emptyDir makes a directory that exists as long as the pod. It is in memory if the volume asks for
// that and the agent may mount.
func (v *Volumes) emptyDir(pod *corev1.Pod, volume *corev1.Volume) (string, error) {
	dir := filepath.Join(v.Dir, volume.Name)
	if on, err := isMount(dir); err == nil && on {
		return filepath.EvalSymlinks(dir)
	}
	dir, err := v.dir(volume.Name, 0o777)
	if err != nil || volume.EmptyDir.Medium != corev1.StorageMediumMemory {
		return dir, err
	}
	options := "mode=0777"
	if size := memorySize(pod, volume.EmptyDir); size > 0 {
		options += fmt.Sprintf(",size=%d", size)
	}
	there, err := mountMemory(dir, options)
	if err == nil && !there {
		v.Log.Info("this agent may not mount: a volume in memory is on disk", zap.String("volume", volume.Name))
	}
	return dir, err
}

// mountMemory mounts a tmpfs. It returns false if the agent may not mount.
func mountMemory(dir, options string) (done bool, err error) {
	err = unix.Mount(tmpfsSource, dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options)
	if errors.Is(err, unix.EPERM) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mounting a tmpfs: %w", err)
	}
	return true, nil
}

// memorySize is the size of a volume in memory: the smaller of its sizeLimit and the sum of the
// memory limits of the pod's containers. With 0 the kernel chooses.
func memorySize(pod *corev1.Pod, source *corev1.EmptyDirVolumeSource) int64 {
	size := int64(0)
	for _, c := range pod.Spec.Containers {
		limit, ok := c.Resources.Limits[corev1.ResourceMemory]
		if !ok {
			size = 0
			break
		}
		size += limit.Value()
	}
	if limit := source.SizeLimit; limit != nil && limit.Value() > 0 && (size == 0 || limit.Value() < size) {
		size = limit.Value()
	}
	return size
}

// isMount reports whether a file system is mounted at the directory.
func isMount(dir string) (bool, error) {
	var at, above unix.Stat_t
	if err := unix.Lstat(dir, &at); err != nil {
		return false, &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if err := unix.Lstat(filepath.Dir(dir), &above); err != nil {
		return false, &os.PathError{Op: "lstat", Path: filepath.Dir(dir), Err: err}
	}
	return at.Dev != above.Dev, nil
}
