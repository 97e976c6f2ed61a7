package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// The files of a worker's folder.
const (
	socketFile = "socket"
	infoFile   = "worker.json"
	logFile    = "log"
)

// Info is what a worker's folder says of it, in worker.json.
type Info struct {
	// PID is the worker's process; 0 until it is ready.
	PID int `json:"pid"`
	// StartTime is when the process began, in clock ticks since boot as in /proc/PID/stat: with PID it names one
	// process for as long as the system is up.
	StartTime uint64 `json:"startTime"`
	// Build is the worker's build and settings.
	Build string `json:"build"`
	// Shard is the number of a shared worker. Pod is the pod's UID of an isolated one.
	Shard    int    `json:"shard"`
	Isolated bool   `json:"isolated,omitempty"`
	Pod      string `json:"pod,omitempty"`
}

// ReadInfo reads the worker.json of a worker's folder.
func ReadInfo(dir string) (Info, error) {
	var info Info
	text, err := os.ReadFile(filepath.Join(dir, infoFile))
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return info, fmt.Errorf("%s: %w", filepath.Join(dir, infoFile), err)
	}
	return info, nil
}

// write puts info into the folder, whole or not at all.
func (info Info) write(dir string) error {
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

// claim is a folder that is held: by its worker while that lives, or by an agent that removes it. The kernel gives it
// free with the process, however that ends.
type claim struct {
	dir  string
	file *os.File
}

// errClaimed says that a folder's worker lives.
var errClaimed = errors.New("a process holds the folder")

// claimFolder takes a folder, unless another has it.
func claimFolder(dir string) (*claim, error) {
	file, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", dir, errClaimed)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	// An agent may have removed the folder between the two.
	now, err := os.Lstat(dir)
	if err == nil {
		var own fs.FileInfo
		if own, err = file.Stat(); err == nil && !os.SameFile(own, now) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &claim{dir: dir, file: file}, nil
}

// socket is a path of the folder's socket that fits into a socket address, which has room for 107 bytes. It is good
// while the claim is held.
func (c *claim) socket() string { return fmt.Sprintf("/proc/self/fd/%d/%s", c.file.Fd(), socketFile) }

// remove removes the folder and gives the claim free.
func (c *claim) remove() error {
	return errors.Join(filetree.Remove(context.Background(), c.dir), c.file.Close())
}

// Fields of /proc/PID/stat, counted from behind the name.
const (
	statState = 0
	statStart = 19
	statExit  = 49
)

// statFields are the fields of /proc/PID/stat behind the name, which is in parentheses and may hold anything.
func statFields(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	line := string(text)
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) <= statExit {
		return nil, fmt.Errorf("/proc/%d/stat has too few fields", pid)
	}
	return fields, nil
}

// startTime is when a process began, as in Info.
func startTime(pid int) (uint64, error) {
	fields, err := statFields(pid)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(fields[statStart], 10, 64)
}
