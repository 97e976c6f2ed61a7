package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockName is the name of the lock file. If it is locked, a cluster runs in the folder. If it
// exists, a cluster made the files of ownNames.
const lockName = "cluster.lock"

// ownNames are the files and folders that a cluster makes in its folder, without the lock. In
// kubectl-cache, kubectl has its cache in tests.
func ownNames() []string {
	names := []string{"pki", "etcd", volumePlugins, "kubectl-cache", adminKubeconfig, schedulerConfig}
	for _, component := range componentNames {
		names = append(names, component+".log", component+".pid")
	}
	return names
}

// workdir is a cluster's folder, locked for this process.
type workdir struct {
	path string
	made bool
	lock *os.File
}

// openWorkdir makes the folder if it does not exist, locks it, and removes what a killed cluster
// left there. It refuses a folder that another cluster uses. It also refuses one where other files
// have the names that a cluster needs.
func openWorkdir(path string) (_ *workdir, err error) {
	w := &workdir{path: path}
	switch err := os.Mkdir(path, 0o700); {
	case err == nil:
		w.made = true
	case !errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("making the folder given by --dir: %w", err)
	}
	left, err := w.acquire()
	if err != nil {
		return nil, err
	}
	if !left {
		if name := w.occupied(); name != "" {
			w.unlock()
			return nil, fmt.Errorf("%s exists and was not made by a cluster: choose another --dir", w.join(name))
		}
		return w, nil
	}
	if err := w.removeOwn(false); err != nil {
		w.release()
		return nil, fmt.Errorf("clearing what an earlier cluster left: %w", err)
	}
	return w, nil
}

// acquire takes the lock. left reports whether the lock file existed before.
func (w *workdir) acquire() (left bool, err error) {
	name := w.join(lockName)
	// A cluster that ends removes its lock file. A lock on a removed file locks nothing, so acquire
	// checks again.
	for range 10 {
		_, statErr := os.Lstat(name)
		file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return false, fmt.Errorf("using the folder given by --dir: %w", err)
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			holder, _ := os.ReadFile(name)
			_ = file.Close()
			if !errors.Is(err, syscall.EWOULDBLOCK) {
				return false, fmt.Errorf("locking %s: %w", name, err)
			}
			return false, fmt.Errorf("%s is in use by another cluster (process %s)", w.path, strings.TrimSpace(string(holder)))
		}
		w.lock = file
		if w.lockInPlace(name) {
			_ = file.Truncate(0)
			_, err = fmt.Fprintf(file, "%d\n", os.Getpid())
			return statErr == nil, err
		}
		_ = file.Close()
	}
	return false, fmt.Errorf("%s: other clusters keep starting and ending in this folder", w.path)
}

func (w *workdir) lockInPlace(name string) bool {
	held, err := w.lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(held, there)
}

// occupied names a file that has one of the cluster's names, or is empty.
func (w *workdir) occupied() string {
	for _, name := range ownNames() {
		if _, err := os.Lstat(w.join(name)); err == nil {
			return name
		}
	}
	return ""
}

func (w *workdir) join(elem ...string) string {
	return filepath.Join(append([]string{w.path}, elem...)...)
}

// write writes a file into the folder atomically: a reader never sees a part of it. Only the owner
// can read the file. write needs the pki folder, where it prepares the file.
func (w *workdir) write(name string, content []byte) error {
	next := w.join("pki", filepath.Base(name)+".new")
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	return os.Rename(next, w.join(name))
}

// removeOwn removes what a cluster makes, except the lock. With keepLogs it keeps the logs.
func (w *workdir) removeOwn(keepLogs bool) error {
	var failed []error
	for _, name := range ownNames() {
		if keepLogs && strings.HasSuffix(name, ".log") {
			continue
		}
		failed = append(failed, os.RemoveAll(w.join(name)))
	}
	return errors.Join(failed...)
}

// close removes the cluster's files and releases the folder. With keepLogs the logs stay. Then the
// lock file stays too: it tells the next cluster that it may replace the logs.
func (w *workdir) close(keepLogs bool) error {
	err := w.removeOwn(keepLogs)
	if keepLogs {
		w.release()
		return err
	}
	w.unlock()
	return err
}

// unlock removes the lock file before it releases the lock, so that no other process can lock a
// file that will be removed. It removes the folder if the cluster made it and it is empty.
func (w *workdir) unlock() {
	_ = os.Remove(w.join(lockName))
	if w.made {
		// This fails if another process made a file there. Then the folder stays.
		_ = os.Remove(w.path)
	}
	w.release()
}

func (w *workdir) release() {
	_ = w.lock.Close()
}
