package podfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxState is the size of the largest note that an agent reads, in bytes. A run's spec has the
// values of Secrets, which have at most 1 MiB each.
const maxState = 64 << 20

// damagedError is the error for a note that is not as an agent wrote it.
type damagedError struct {
	path, how string
}

func (e *damagedError) Error() string { return e.path + " is damaged: " + e.how }

// readState reads a note. Workers or the disk may have changed the note, so readState reads only a
// regular file of at most maxState bytes, and follows no link.
func readState(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO):
		return nil, &damagedError{path, "it is not a regular file"}
	case err != nil:
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &damagedError{path, "it is not a regular file"}
	}
	content, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err == nil && len(content) > maxState {
		err = &damagedError{path, fmt.Sprintf("it is larger than %d bytes", maxState)}
	}
	return content, err
}

// readJSON reads a note into a value. Its error has no text of the decoder, because that may quote
// a value.
func readJSON(path string, into any) error {
	content, err := readState(path)
	if err == nil && json.Unmarshal(content, into) != nil {
		err = &damagedError{path, "it is not the JSON that was written there"}
	}
	return err
}

// writeWhole writes a file for the agent's user atomically: readers see the whole file or none.
func writeWhole(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// O_EXCL: the file must not be one that another program made.
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}
