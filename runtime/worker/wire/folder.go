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

// The files of a worker's folder. The worker may write there what it likes, at any time, so the agent believes none of
// them, and opens none but by openWithin.
const (
	SocketFile = "socket"
	infoFile   = "worker.json" // the worker's own word, for people, and for agents of earlier versions
	LogFile    = "log"
)

// Beside a worker's folder, where no worker may write, the agent keeps these, named as the folder and a suffix.
const (
	RecordSuffix = ".json" // what the worker is for; the worker holds a lock on it
	KeySuffix    = ".key"  // what the marks of its runs are made with; only the agent reads it
)

// Info is what is known of a worker.
type Info struct {
	// PID is the worker's process; 0 while it has none.
	PID int `json:"pid,omitempty"`
	// StartTime is when the process began, in clock ticks since boot as in /proc/PID/stat: with PID it names one
	// process for as long as the system is up.
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

// ReadInfo is what is known of the worker of a folder: what its agent has noted beside the folder, and the process that
// holds the lock of that. Of a worker that an agent of an earlier version has started it is what the worker itself has written. A
// worker must not call it for its own folder: its lock would be gone.
func ReadInfo(dir string) (Info, error) {
	record, err := OpenRecord(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return readOwnWord(dir)
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

// readOwnWord is what a worker says of itself.
func readOwnWord(dir string) (Info, error) {
	file, err := OpenWithin(dir, infoFile)
	if err != nil {
		return Info{}, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return ParseInfo(file)
}

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

// tell leaves info in the worker's own folder, whole or not at all.
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

// openFolder opens a worker's folder, and nothing that a link of that name leads to.
func OpenFolder(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// openWithin opens a file of a worker's folder for reading. What is no plain file is an error, and holds nobody up.
func OpenWithin(dir, name string) (*os.File, error) {
	folder, err := OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close() //nolint:errcheck // it was only looked at
	return OpenPlain(int(folder.Fd()), name, filepath.Join(dir, name))
}

// openPlain opens a plain file for reading, below the open folder at or, for an absolute name, anywhere.
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

// socketOf is a path of the socket in an open folder that fits into a socket address, which has room for 107 bytes. It is
// good while the folder is open.
func SocketPath(folder *os.File) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), SocketFile)
}

// ErrHeld says that a process holds the lock of a folder.
var ErrHeld = errors.New("a process holds the folder")

// LockFolder takes the lock of an open folder, unless another has it.
func LockFolder(folder *os.File) error {
	err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s: %w", folder.Name(), ErrHeld)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", folder.Name(), err)
	}
	return nil
}
