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

// The files of a worker's folder. The worker may write there what it likes at any time, so the
// agent does not believe them, and opens them with OpenWithin only.
const (
	SocketFile = "socket"
	LogFile    = "log"
	infoFile   = "worker.json" // the worker's own; for people and for earlier agents
)

// The agent's files beside a worker's folder, where workers cannot write. Each is named as the
// folder with a suffix.
const (
	RecordSuffix = ".json" // what the worker is for; the worker holds a lock on it
	KeySuffix    = ".key"  // for the marks of the worker's runs; only the agent reads it
)

// Info is what is known of a worker.
type Info struct {
	// PID is the worker's process; 0 while it has none.
	PID int `json:"pid,omitempty"`
	// StartTime is when the process started, in clock ticks since the system booted, as
	// /proc/PID/stat has it. With PID it names one process until the system is booted again.
	StartTime uint64 `json:"startTime,omitempty"`
	// Build is the worker's build and settings.
	Build string `json:"build"`
	// Shard is the number of a shared worker. Pod is the pod's UID of an isolated one.
	Shard    int    `json:"shard"`
	Isolated bool   `json:"isolated,omitempty"`
	Pod      string `json:"pod,omitempty"`
}

// infoLimit is the size of the largest record.
const infoLimit = 16 << 10

// ReadInfo is what is known of the worker of a folder: what its agent has noted beside the folder,
// and the process that holds the lock of that record. If an agent of an earlier version has started
// the worker, it is what the worker itself has written. A worker must not call it for its own
// folder: it would lose its lock.
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

// readOwnInfo is what a worker says of itself.
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

// OpenFolder opens a worker's folder. It does not follow a link of that name.
func OpenFolder(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// OpenWithin opens a plain file of a worker's folder for reading. Anything else is an error, and
// does not block.
func OpenWithin(dir, name string) (*os.File, error) {
	folder, err := OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close() //nolint:errcheck // it was only looked at
	return OpenPlain(int(folder.Fd()), name, filepath.Join(dir, name))
}

// OpenPlain opens a plain file for reading: name is below the open folder at, or absolute. Errors
// name path.
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

// LockFolder takes the lock of an open folder. If another process has it, that is an error.
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
