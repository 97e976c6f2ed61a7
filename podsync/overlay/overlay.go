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

// source is the source of the mount in the mount table. By it podsync/volume knows mounts of this
// node, which it unmounts.
const source = "krustlet-wasi"

// Folders that Make makes in the folder of a container.
const (
	rootFolder  = "root"
	upperFolder = "upper" // the files that the guest wrote, if root is a mount
	workFolder  = "work"  // for the kernel's own use
)

// Folders are the names of the folders that Make makes.
func Folders() []string { return []string{rootFolder, upperFolder, workFolder} }

// Make makes a directory that has all that image has and that can be written to, and returns its
// path. dir is the container's folder; none of Folders exists in it yet. The path of image contains
// no link. After an error the folders in dir are useless.
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
// overlays in which nothing can be removed. Only administrators of the machine itself, and not
// those of a container on it, may set attributes whose names begin with trusted.
func mountable(upper string) bool {
	const attribute = "trusted.overlay.krustlet-wasi"
	whiteout := filepath.Join(upper, "whiteout")
	if unix.Mknod(whiteout, unix.S_IFCHR, 0) != nil || unix.Unlink(whiteout) != nil {
		return false
	}
	return unix.Setxattr(upper, attribute, []byte("y"), 0) == nil && unix.Removexattr(upper, attribute) == nil
}

// unsupported reports whether a mount failed because of the machine: then every other mount fails
// as well.
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
		// These characters separate the mount's options, and kernels differ in how they escape
		// them.
		return unix.EINVAL
	}
	// Directories of the image may be renamed. Without redirect_dir that is EXDEV, for which few
	// programs are prepared.
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=on", lower, upper, work)
	return unix.Mount(source, root, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options)
}
