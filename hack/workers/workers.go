// Package workers finds and ends the worker processes that an agent has left behind, as an administrator would who takes a
// node down for good: by the locks that they hold in the data directory.
package workers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker"
)

// Worker is one of a data directory's workers.
type Worker struct {
	worker.Info
	Dir string // its folder
}

// List is the workers of a data directory that are alive.
func List(dataDir string) ([]Worker, error) {
	dirs, err := filepath.Glob(filepath.Join(dataDir, "workers", "*", ""))
	if err != nil {
		return nil, err
	}
	var found []Worker
	for _, dir := range dirs {
		info, err := worker.ReadInfo(dir)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue // it has just ended, or is no folder
		}
		if err != nil {
			return nil, err
		}
		if w := (Worker{info, dir}); w.alive() {
			found = append(found, w)
		}
	}
	return found, nil
}

// alive says that the process is there, no zombie, and works in that folder.
func (w Worker) alive() bool {
	if w.PID <= 0 {
		return false
	}
	proc := filepath.Join("/proc", strconv.Itoa(w.PID))
	line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	return err == nil && strings.Contains(string(line), w.Dir)
}

// Log is what the worker has logged so far.
func (w Worker) Log() string {
	text, _ := os.ReadFile(filepath.Join(w.Dir, "log"))
	return string(text)
}

// unmount ends the mounts in the folders of pods. Where nothing is mounted it does nothing.
func unmount(dataDir string) error {
	real, err := filepath.EvalSymlinks(dataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return volume.Unmount(filepath.Join(real, "pods"))
}

// patience is how long workers may take to end.
const patience = 15 * time.Second

// End ends all workers of a data directory, and their guests, waits, and unmounts the volumes that the agent has in memory. No agent
// may run.
func End(dataDir string) error {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	told := map[int]bool{}
	for ; ; <-tick.C {
		all, err := List(dataDir)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return unmount(dataDir)
		}
		for _, w := range all {
			if !told[w.PID] {
				told[w.PID] = true
				_ = syscall.Kill(w.PID, syscall.SIGTERM) // fails if it has ended
			}
		}
		if time.Now().After(deadline) {
			var errs []error
			for _, w := range all {
				errs = append(errs, fmt.Errorf("worker %d did not end within %v of SIGTERM:\n%s", w.PID, patience, w.Log()))
				_ = syscall.Kill(w.PID, syscall.SIGKILL)
			}
			return errors.Join(errs...)
		}
	}
}
