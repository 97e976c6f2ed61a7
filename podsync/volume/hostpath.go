package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

func isHostPath(volume *corev1.VolumeSource) bool { return volume.HostPath != nil }

func findHostPath(_ context.Context, _ *Volumes, _ *corev1.Pod, volume *corev1.Volume) (made, error) {
	host, err := hostPath(volume.HostPath)
	return made{host: host}, err
}

// hostPath makes the path if the volume's type asks for that, and checks the type of the file or
// directory. It returns the path without symbolic links.
func hostPath(source *corev1.HostPathVolumeSource) (string, error) {
	kind := corev1.HostPathUnset
	if source.Type != nil {
		kind = *source.Type
	}
	path := filepath.Clean(source.Path)
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("hostPath %q is not absolute", source.Path)
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = makeHostPath(path, kind)
	}
	if err != nil {
		return "", fmt.Errorf("hostPath: %w", err)
	}
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("hostPath: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("hostPath: %w", err)
	}
	if what := mismatch(kind, info.Mode()); what != "" {
		return "", fmt.Errorf("hostPath type check failed: %s is not a %s", source.Path, what)
	}
	return path, nil
}

// makeHostPath makes the path if it is missing and the type asks for that. If there is no type, it
// makes a directory, as container runtimes do.
func makeHostPath(path string, kind corev1.HostPathType) error {
	switch kind {
	case corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate:
		return os.MkdirAll(path, 0o755)
	case corev1.HostPathFileOrCreate:
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		return f.Close()
	}
	return nil // the caller notices that the path is missing
}

// mismatch is the name of the type that the path should have. It is empty if the path has that
// type.
func mismatch(kind corev1.HostPathType, mode fs.FileMode) string {
	ok, what := true, ""
	switch kind {
	case corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate:
		ok, what = mode.IsDir(), "directory"
	case corev1.HostPathFile, corev1.HostPathFileOrCreate:
		ok, what = mode.IsRegular(), "file"
	case corev1.HostPathSocket:
		ok, what = mode&fs.ModeSocket != 0, "socket file"
	case corev1.HostPathCharDev:
		ok, what = mode&fs.ModeCharDevice != 0, "character device"
	case corev1.HostPathBlockDev:
		ok, what = mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0, "block device"
	}
	if ok {
		return ""
	}
	return what
}
