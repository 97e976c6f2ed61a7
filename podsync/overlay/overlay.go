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

// source is what the mount table calls the mount: podsync/volume takes it for the node's own, and unmounts it.
const source = "krustlet-wasi"

// Folders that Make makes in that of a container.
const (
	rootFolder  = "root"
	upperFolder = "upper" // what the guest has written, where root is a mount
	workFolder  = "work"  // the kernel's
)

// Folders are the names of what Make makes.
func Folders() []string { return []string{rootFolder, upperFolder, workFolder} }

// Make makes a directory that has all that image has, to be written to, and returns its path. dir is the container's folder,
// in which there is nothing of that name yet; the path of image leads through no link. After an error, what there is in dir is of no use.
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

// mountable says whether an overlay with this folder would work: the kernel also mounts some in which nothing can be removed. Attributes
// of the name are for administrators of the machine only, not of a container on it.
func mountable(upper string) bool {
	const attribute = "trusted.overlay.krustlet-wasi"
	whiteout := filepath.Join(upper, "whiteout")
	if unix.Mknod(whiteout, unix.S_IFCHR, 0) != nil || unix.Unlink(whiteout) != nil {
		return false
	}
	return unix.Setxattr(upper, attribute, []byte("y"), 0) == nil && unix.Removexattr(upper, attribute) == nil
}

// unsupported says that a mount failed for what the machine is, so that another will fail as well.
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
		return unix.EINVAL // they mean something in the mount's options, and not the same to all kernels
	}
	// Directories of the image may be renamed; without redirect_dir that is EXDEV, which few programs are prepared for.
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=on", lower, upper, work)
	return unix.Mount(source, root, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options)
}
