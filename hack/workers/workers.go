// Package workers finds and ends the workers that an agent has left, like an administrator who
// stops a node.
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
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// Worker is one of a data directory's workers.
type Worker struct {
	wire.Info
	Dir string // its folder
}

// List finds the running workers of a data directory. It uses their command lines, because the
// files that workers write may be wrong.
func List(dataDir string) ([]Worker, error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var found []Worker
	for _, file := range lines {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has just exited
		}
		for _, arg := range strings.Split(string(line), "\x00") {
			dir, is := strings.CutPrefix(arg, "--dir=")
			if !is || filepath.Dir(dir) != filepath.Join(dataDir, "workers") {
				continue
			}
			w := Worker{Dir: dir}
			if info, err := wire.ReadInfo(dir); err == nil {
				w.Info = info
			}
			if w.PID, err = strconv.Atoi(filepath.Base(filepath.Dir(file))); err != nil {
				return nil, err
			}
			found = append(found, w)
		}
	}
	return found, nil
}

// Log is what the worker has logged so far.
func (w Worker) Log() string {
	text, _ := os.ReadFile(filepath.Join(w.Dir, "log"))
	return string(text)
}

// unmount unmounts everything in the folders of pods.
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

// patience is how long workers may take to exit.
const patience = 15 * time.Second

// End ends all workers of a data directory and their guests, and waits until they have exited. Then
// it unmounts the volumes that the agent has in memory. No agent may run.
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
				_ = syscall.Kill(w.PID, syscall.SIGTERM) // fails if it has exited
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
