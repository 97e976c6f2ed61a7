package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// source is the source of the mount in the mount table. podsync/volume finds the mounts of this
// node by it, and unmounts them.
const source = "krustlet-wasi"

// Folders that Make makes in the folder of a container.
const (
	rootFolder  = "root"
	upperFolder = "upper" // the files that the guest wrote, if root is a mount
	workFolder  = "work"  // for use by the kernel
)

// Folders are the names of the folders that Make makes.
func Folders() []string { return []string{rootFolder, upperFolder, workFolder} }

// Make makes a writable directory with all files of image, and returns its path. dir is the
// container's folder, and has none of Folders yet. The path of image has no link. After an error
// the folders in dir cannot be used.
func Make(ctx context.Context, dir, image string) (root string, err error) {
	root = filepath.Join(dir, rootFolder)
	upper, work := filepath.Join(dir, upperFolder), filepath.Join(dir, workFolder)
	for _, folder := range []string{root, upper, work} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return "", err
		}
	}
	if mountable(upper) {
		err := mount(image, upper, work, root)
		if err == nil {
			return root, nil
		}
		if !unsupported(err) {
			return "", fmt.Errorf("mounting an overlay of the image: %w", err)
		}
	}
	if err := errors.Join(os.Remove(upper), os.Remove(work)); err != nil {
		return "", err
	}
	return root, copyTree(ctx, image, root)
}

// mountable reports whether an overlay with this folder would work. The kernel also mounts some
// overlays in which no file can be removed. To remove files, an overlay needs whiteouts, and
// attributes whose names begin with trusted. Only administrators of the machine may set those
// attributes, not administrators of a container.
func mountable(upper string) bool {
	const attribute = "trusted.overlay.krustlet-wasi"
	whiteout := filepath.Join(upper, "whiteout")
	if unix.Mknod(whiteout, unix.S_IFCHR, 0) != nil || unix.Unlink(whiteout) != nil {
		return false
	}
	return unix.Setxattr(upper, attribute, []byte("y"), 0) == nil && unix.Removexattr(upper, attribute) == nil
}

// unsupported reports whether a mount failed because of the machine. If so, every other mount
// fails, too.
func unsupported(err error) bool {
	for _, known := range []error{unix.EPERM, unix.EINVAL, unix.ENODEV, unix.EOPNOTSUPP, unix.ENOSYS} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func mount(lower, upper, work, root string) error {
	if strings.ContainsAny(lower+upper+work, `:,\`) {
		// These characters separate the options of the mount. Kernels differ in how they can be
		// escaped.
		return unix.EINVAL
	}
	// Without redirect_dir, renaming a directory of the image fails with EXDEV. Few programs handle
	// that.
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=on", lower, upper, work)
	return unix.Mount(source, root, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options)
}
