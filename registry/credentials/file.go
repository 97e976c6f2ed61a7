package credentials

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrWritable means that every user of the machine may write the file, so it is not trusted.
var ErrWritable = errors.New("may be written by every user of this machine: see that it is as you made it, then run chmod go-w on it")

// ReadFile reads a file of settings. It must be a regular file, not longer than most bytes, and not
// writable by every user (ErrWritable).
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a named pipe must not block
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("no regular file")}
	case info.Mode().Perm()&0o002 != 0:
		return nil, fmt.Errorf("%s %w", path, ErrWritable)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d bytes", most)}
	}
	return data, err
}
