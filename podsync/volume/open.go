package volume

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a file of a volume that is set up, for reading. A link that a guest made does not lead
// out of the volume. Only regular files are opened.
func (v *Volumes) Open(volume, path string) (io.ReadCloser, error) {
	m, ok := v.get(volume)
	if !ok {
		return nil, fmt.Errorf("volume %q is not set up: no container mounts it", volume)
	}
	if m.kind.image != nil {
		return nil, fmt.Errorf("volume %q shows an image, which each run has for itself", volume)
	}
	root, err := os.OpenRoot(m.host)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // opened for its names only
	// Without O_NONBLOCK, opening a pipe would wait for its writer.
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
