package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// The result of a pull can be used as soon as it is complete and verified. It is synced later; the
// delay depends on what else the machine writes. Pulls do not wait for the sync, but Close does.
// Until then, a kill of the process loses nothing, but a crash of the machine may lose data. So
// data that is synced has a mark. The first process that opens the store after a start of the
// machine checks everything without a mark:
//
//   - A synced blob has a mode that forbids writing. Any other blob is removed, unless its content
//     has its digest.
//   - A root filesystem has a file beside it that says that it is synced, or else in which boot it
//     was made. One of another boot is removed, and is made again from its layers when it is
//     needed.
//   - A record that was written only in part cannot be read. It counts as missing.
//
// A pull never loses data that was synced. A file is synced before it replaces another file. When
// the meaning of a reference changes to another image, the blobs of that image are synced first.

const (
	syncedMode = 0o400
	markFile   = "synced" // one byte, which cannot be written in part, and the ID of the boot
	unsynced   = "-"
	synced     = "+"    // written when everything else is on disk
	bootFile   = "boot" // in the store's folder: in which boot of the machine the store was checked
)

// bootID is a file whose content is different after each start of the machine.
const bootID = "/proc/sys/kernel/random/boot_id"

func readBoot() (string, error) {
	id, err := os.ReadFile(bootID)
	return strings.TrimSpace(string(id)), err
}

// recover checks what a crash of the machine may have damaged. One process does so once in each
// boot, before any process uses the store.
func (d *disk) recover(log *zap.Logger) error {
	return withLock(context.Background(), d.lock(), unix.LOCK_EX, func() error {
		at := filepath.Join(d.dir, bootFile)
		if looked, err := os.ReadFile(at); err == nil && string(looked) == d.roots.boot {
			return nil
		}
		if err := errors.Join(d.blobs.recover(), d.roots.recover()); err != nil {
			return err
		}
		if err := os.WriteFile(at, []byte(d.roots.boot), 0o600); err != nil { // for example, on a full disk
			log.Warn("the store will be looked at once more for what a crash may have damaged", zap.Error(err))
		}
		return nil
	})
}

func (b blobs) recover() error {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		digest := "sha256:" + e.Name()
		info, err := e.Info()
		if err != nil {
			return err
		}
		if manifest.IsDigest(digest) && info.Mode().Perm() != syncedMode {
			if err := b.check(digest); err != nil {
				return err
			}
		}
	}
	return nil
}

// check removes a blob that does not have its digest, and syncs and marks other blobs.
func (b blobs) check(digest string) error {
	f, err := os.Open(b.path(digest))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // the file was only read
	hash := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{hash}, struct{ io.Reader }{f}, make([]byte, copySize)); err != nil {
		return err
	}
	if digest != "sha256:"+hex.EncodeToString(hash.Sum(nil)) {
		return os.Remove(f.Name())
	}
	return errors.Join(f.Sync(), f.Chmod(syncedMode))
}

func (r roots) recover() error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !rootForm.MatchString(e.Name()) {
			continue
		}
		mark, err := os.ReadFile(filepath.Join(r.path(e.Name()), markFile))
		if err == nil && (strings.HasPrefix(string(mark), synced) || string(mark) == unsynced+r.boot) {
			continue
		}
		if err := filetree.Remove(context.Background(), r.path(e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// syncDelay is how long a sync waits, so that it can include data of other pulls and does not slow
// them down.
const syncDelay = time.Second

// brought is data from pulls that is not synced yet.
type brought struct {
	blobs   []blob
	records []string // paths of files
	roots   []string // names of root filesystems
}

// syncer syncs the data of pulls, some time after each pull, and never twice at the same time.
type syncer struct {
	disk *disk
	log  *zap.Logger

	mu     sync.Mutex
	next   brought
	active bool // whether a goroutine is syncing
	done   sync.WaitGroup

	closing   chan struct{} // closed when the syncer must stop waiting
	closeOnce sync.Once
}

// later syncs b in another goroutine. close waits for it.
func (q *syncer) later(b brought) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next = brought{append(q.next.blobs, b.blobs...), append(q.next.records, b.records...), append(q.next.roots, b.roots...)}
	if !q.active {
		q.active = true
		q.done.Go(func() {
			for q.syncWaiting() {
			}
		})
	}
}

// syncWaiting waits, syncs what was added until then, and reports whether it must be called again.
func (q *syncer) syncWaiting() bool {
	select {
	case <-time.After(syncDelay):
	case <-q.closing:
	}
	q.mu.Lock()
	now := q.next
	none := len(now.blobs)+len(now.records)+len(now.roots) == 0
	q.next, q.active = brought{}, !none
	q.mu.Unlock()
	if none {
		return false
	}
	if err := q.disk.sync(now); err != nil {
		q.log.Warn("some of what was pulled is not synced", zap.Error(err))
	}
	return true
}

// sync syncs b. Files may be removed at the same time. A blob that cannot be written to the disk is
// removed, because it could be lost at any time.
func (d *disk) sync(b brought) error {
	var errs []error
	for _, blob := range b.blobs {
		if err := syncPath(blob.path); err != nil {
			_, removeErr := removeUnlocked(blob.path)
			errs = append(errs, err, removeErr)
		}
	}
	for _, path := range append(slices.Clone(b.records), d.refs.dir, d.blobs.dir) {
		errs = append(errs, syncPath(path))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, blob := range b.blobs {
		if err := os.Chmod(blob.path, syncedMode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, root := range b.roots {
		errs = append(errs, d.roots.sync(root))
	}
	return errors.Join(errs...)
}

// mark marks the root in dir as not synced yet.
func (r roots) mark(dir string) error {
	return os.WriteFile(filepath.Join(dir, markFile), []byte(unsynced+r.boot), 0o600)
}

// sync syncs a root. The root may be removed at the same time.
func (r roots) sync(id string) error {
	mark, err := os.OpenFile(filepath.Join(r.path(id), markFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer mark.Close() //nolint:errcheck // the file was synced, so closing cannot lose data
	if err := unix.Syncfs(int(mark.Fd())); err != nil {
		return fmt.Errorf("syncing %s: %w", r.path(id), err)
	}
	if _, err := mark.WriteAt([]byte(synced), 0); err != nil {
		return err
	}
	return mark.Sync()
}

// syncPath syncs a file, or the names in a folder. A missing path is no error.
func syncPath(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// close waits until all data is synced.
func (q *syncer) close() {
	q.closeOnce.Do(func() { close(q.closing) })
	q.done.Wait()
}
