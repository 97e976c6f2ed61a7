package wire

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

// The files of a worker's folder. The worker may write anything there at any time. So the agent
// does not trust them, and opens them only with OpenWithin.
const (
	SocketFile = "socket"
	LogFile    = "log"
	infoFile   = "worker.json" // written by the worker; for people and for earlier agents
)

// The agent's files beside a worker's folder, where workers cannot write. Their names are the
// folder's name and a suffix.
const (
	RecordSuffix = ".json" // the worker's slot; the worker holds a lock on this file
	KeySuffix    = ".key"  // for the marks of the worker's runs; only the agent reads it
)

// Info is the data about a worker.
type Info struct {
	// PID is the worker's process; 0 if it has none.
	PID int `json:"pid,omitempty"`
	// StartTime is when the process started, in clock ticks since the boot of the system, as in
	// /proc/PID/stat. PID and StartTime together identify a process until the next boot.
	StartTime uint64 `json:"startTime,omitempty"`
	// Build is the worker's build and settings.
	Build string `json:"build"`
	// Shard is the number of a shared worker. Pod is the UID of an isolated worker's pod.
	Shard    int    `json:"shard"`
	Isolated bool   `json:"isolated,omitempty"`
	Pod      string `json:"pod,omitempty"`
}

// infoLimit is the size of the largest record.
const infoLimit = 16 << 10

// ReadInfo returns the data about the worker of a folder: the agent's note beside the folder, and
// the process that holds the lock of that record. If an agent of an earlier version has started the
// worker, it returns what the worker itself has written. A worker must not call it for its own
// folder, because it would lose its lock.
func ReadInfo(dir string) (Info, error) {
	record, err := OpenRecord(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return readOwnInfo(dir)
	}
	if err != nil {
		return Info{}, err
	}
	defer record.Close() //nolint:errcheck // it was only read
	info, err := ParseInfo(record)
	if err != nil {
		return Info{}, err
	}
	if info.PID, err = Holder(record); err == nil && info.PID != 0 {
		info.StartTime, err = StartTime(info.PID)
	}
	return info, err
}

// readOwnInfo returns the data that a worker wrote about itself.
func readOwnInfo(dir string) (Info, error) {
	file, err := OpenWithin(dir, infoFile)
	if err != nil {
		return Info{}, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return ParseInfo(file)
}

// ParseInfo reads a record.
func ParseInfo(file *os.File) (Info, error) {
	var info Info
	text, err := io.ReadAll(io.LimitReader(file, infoLimit+1))
	switch {
	case err != nil:
		return Info{}, err
	case len(text) > infoLimit:
		return Info{}, fmt.Errorf("%s has more than %d bytes", file.Name(), infoLimit)
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return Info{}, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return info, nil
}

// Tell writes info into the worker's own folder. It replaces an older file in one step.
func (info Info) Tell(dir string) error {
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, infoFile)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// OpenFolder opens a worker's folder. It does not follow a link.
func OpenFolder(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// OpenWithin opens a regular file of a worker's folder for reading. For other files it returns an
// error and does not block.
func OpenWithin(dir, name string) (*os.File, error) {
	folder, err := OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close() //nolint:errcheck // it was opened only for its names
	return OpenPlain(int(folder.Fd()), name, filepath.Join(dir, name))
}

// OpenPlain opens a regular file for reading. name is below the open folder at, or absolute. Errors
// contain path.
func OpenPlain(at int, name, path string) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// SocketPath is a path of the socket in an open folder. It fits into a socket address, which has
// room for 107 bytes, and is valid while the folder is open.
func SocketPath(folder *os.File) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), SocketFile)
}

// LockFolder takes the lock of an open folder. It is an error if another process holds the lock.
func LockFolder(folder *os.File) error {
	err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s is held by a process", folder.Name())
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", folder.Name(), err)
	}
	return nil
}
