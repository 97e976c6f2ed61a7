package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// subPath is the part of a volume that a mount asks for, or the whole volume. copies is the path
// for a part of a volume with content.
func subPath(run Run, asked *corev1.VolumeMount, from made, copies string) (string, error) {
	sub := asked.SubPath
	if asked.SubPathExpr != "" {
		var err error
		if sub, err = run.Expand(asked.SubPathExpr); err != nil {
			return "", err
		}
	}
	if sub == "" {
		return from.host, nil
	}
	if filepath.IsAbs(sub) {
		return "", fmt.Errorf("error SubPath `%s` must not be an absolute path", sub)
	}
	if !filepath.IsLocal(sub) {
		return "", fmt.Errorf("unable to provision SubPath `%s`: must not contain '..'", sub)
	}
	resolve := resolveBelow
	if from.kind.image != nil {
		host, err := findBelow(from.host, sub)
		if err != nil {
			return "", fmt.Errorf("%w: volumeMount %q of container %q: %w", ErrImageMount, asked.Name, run.Container.Name, err)
		}
		return host, nil
	}
	if from.kind.content != nil {
		resolve = func(dir, sub string) (string, error) { return keepPart(dir, sub, copies) }
	}
	host, err := resolve(from.host, sub)
	if err != nil {
		return "", fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", asked.Name, run.Container.Name, err)
	}
	return host, nil
}

// resolveBelow is the path of sub in the volume at dir, without symbolic links. If it is missing,
// it is made as a directory. Guests that see the volume may change it at any time, so the code that
// opens the path must refuse links in it.
func resolveBelow(dir, sub string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close() //nolint:errcheck // opened for its names only
	if _, err := root.Stat(sub); errors.Is(err, fs.ErrNotExist) {
		if err := makeBelow(root, sub); err != nil {
			return "", err
		}
	}
	return findBelow(dir, sub)
}

// findBelow is resolveBelow for a path that exists.
func findBelow(dir, sub string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close() //nolint:errcheck // opened for its names only
	if _, err := root.Stat(sub); err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(dir, sub))
	if err != nil {
		return "", err
	}
	if path != dir && !strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") {
		return "", fmt.Errorf("%s leads out of the volume", sub)
	}
	return path, nil
}

// makeBelow makes the directory sub with the permissions of the volume.
func makeBelow(root *os.Root, sub string) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	return root.MkdirAll(sub, info.Mode().Perm())
}

// keepPart keeps a part of a volume with content in its present state, because the volume's files
// are replaced together and the older ones are removed. It links the files, and does not copy them.
// The result is empty if the volume has no such part.
func keepPart(dir, sub, copies string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(copies), 0o700); err != nil {
		return "", err
	}
	from, err := filepath.EvalSymlinks(filepath.Join(dir, sub))
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Mkdir(copies, 0o755)
	} else if err == nil {
		err = linkAll(from, copies)
	}
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(copies)
}

// linkAll makes the path to. It is another name of the file from, or a directory with the same
// files as the directory from.
func linkAll(from, to string) error {
	return filepath.WalkDir(from, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.Mkdir(filepath.Join(to, rel), 0o755)
		}
		return os.Link(at, filepath.Join(to, rel))
	})
}
