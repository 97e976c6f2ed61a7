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

// scratchPrefix is the beginning of the names of scratch folders. Versions that did not lock their
// folders used another prefix.
const scratchPrefix = "krustlet-wasi-scratch-"

// scratch is a folder for the temporary files of one run. The kernel always releases its lock when
// the process exits. So if a folder can be locked, its run has ended.
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
		lock, err := lockScratch(dir, flock.TryShared) // on NFS, an exclusive lock needs the right to write
		if err != nil {
			return nil, errors.Join(err, os.Remove(dir))
		}
		if lock != nil {
			return &scratch{dir: dir, lock: lock}, nil
		}
		// Another run took the folder for an old one, has locked it first, and removes it.
	}
}

// remove removes the folder and everything in it, also mounts.
func (s *scratch) remove() error {
	defer func() { _ = s.lock.Close() }()
	return volume.Remove(context.Background(), s.dir)
}

// lockScratch locks a folder of this user. The result is nil if the folder belongs to another user,
// is locked, or does not exist.
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
		return nil, f.Close() // it was removed before it was locked
	}
	return f, nil
}

// sweepScratch removes the folders of runs that were killed. If it cannot remove a folder, it only
// warns.
func sweepScratch(log *zap.Logger) {
	all, err := os.ReadDir(os.TempDir())
	if err != nil {
		return // the next use of the folder reports the error
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
			log.Warn("the folder that a killed run left behind cannot be removed", zap.String("dir", dir), zap.Error(err))
		}
	}
}
