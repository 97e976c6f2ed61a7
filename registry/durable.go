package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// A root filesystem is of use as soon as it is unpacked. It is on disk for good only later, and how much later depends on
// whatever else the machine has to write; nobody waits for that. Until then its mark says in which boot it was unpacked: what a
// process has written outlives the process, but not the machine's crash, and so an unsynced root of another boot is made anew.

// markFile is the mark of a root: one byte, which cannot be written by halves, and the ID of the boot.
const (
	markFile = "synced"
	unsynced = "-"
	synced   = "+" // written when everything else is on disk
)

// bootFile holds an ID that the machine makes anew whenever it starts.
const bootFile = "/proc/sys/kernel/random/boot_id"

func readBoot() (string, error) {
	id, err := os.ReadFile(bootFile)
	return strings.TrimSpace(string(id)), err
}

// mark says of the root in dir that it is not synced yet.
func (r roots) mark(dir string) error {
	return os.WriteFile(filepath.Join(dir, markFile), []byte(unsynced+r.boot), 0o600)
}

// sound says whether no crash has damaged the root in dir.
func (r roots) sound(dir string) (bool, error) {
	mark, err := os.ReadFile(filepath.Join(dir, markFile))
	if err != nil {
		return false, err
	}
	return strings.HasPrefix(string(mark), synced) || string(mark) == unsynced+r.boot, nil
}

// sync has the root in dir on disk for good. It may be removed meanwhile.
func (r roots) sync(dir string) error {
	mark, err := os.OpenFile(filepath.Join(dir, markFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer mark.Close() //nolint:errcheck // what matters is synced
	if err := unix.Syncfs(int(mark.Fd())); err != nil {
		// What could not be written may be lost at any time.
		return errors.Join(fmt.Errorf("syncing %s: %w", dir, err), os.Remove(mark.Name()))
	}
	if _, err := mark.WriteAt([]byte(synced), 0); err != nil {
		return err
	}
	return mark.Sync()
}

// syncLater syncs a root that has been made, beside whatever else goes on. Close waits for it.
func (s *Store) syncLater(id string) {
	s.syncing.Go(func() {
		if err := s.roots.sync(s.roots.path(id)); err != nil {
			s.log.Warn("a root filesystem is not on disk for good", zap.Error(err))
		}
	})
}

// Close waits until what was made is on disk for good. It must not be called beside other methods.
func (s *Store) Close() { s.syncing.Wait() }
