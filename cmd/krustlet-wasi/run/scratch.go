package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/flock"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
)

// scratchPrefix begins the names of scratch folders. Versions that did not lock theirs called them otherwise.
const scratchPrefix = "krustlet-wasi-scratch-"

// scratch is a folder for temporary files that is one run's. The kernel drops the lock on it with the process, however that ends:
// what can be locked is of a run that is dead.
type scratch struct {
	dir  string
	lock *os.File
}

// newScratch makes a folder, and locks it.
func newScratch() (*scratch, error) {
	for {
		dir, err := os.MkdirTemp("", scratchPrefix)
		if err != nil {
			return nil, err
		}
		lock, err := lockScratch(dir, flock.TryShared) // NFS gives no other to who cannot write to the file
		if err != nil {
			return nil, errors.Join(err, os.Remove(dir))
		}
		if lock != nil {
			return &scratch{dir: dir, lock: lock}, nil
		}
		// Before it was locked, another run has taken it for one that was left, and removes it.
	}
}

// remove removes the folder and what is in it, mounts as well.
func (s *scratch) remove() error {
	defer func() { _ = s.lock.Close() }()
	return volume.Remove(context.Background(), s.dir)
}

// lockScratch locks a folder of this user's. nil: it is somebody else's, or not there.
func lockScratch(dir string, try func(*os.File) error) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil, nil
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if owner, known := info.Sys().(*syscall.Stat_t); !known || int(owner.Uid) != os.Geteuid() {
		return nil, f.Close()
	}
	if err := try(f); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	if now, err := os.Lstat(dir); err != nil || !os.SameFile(now, info) {
		return nil, f.Close() // removed before it was locked
	}
	return f, nil
}

// sweepScratch removes what runs have left that were killed. What cannot be removed is told of, and holds nobody up.
func sweepScratch(log *zap.Logger) {
	all, err := os.ReadDir(os.TempDir())
	if err != nil {
		return // who needs the folder meets the error
	}
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), scratchPrefix) {
			continue
		}
		dir := filepath.Join(os.TempDir(), e.Name())
		lock, err := lockScratch(dir, flock.TryExclusive)
		if err == nil && lock != nil {
			err = (&scratch{dir: dir, lock: lock}).remove()
		}
		if err != nil {
			log.Warn("what a run has left that was killed cannot be removed", zap.String("dir", dir), zap.Error(err))
		}
	}
}
