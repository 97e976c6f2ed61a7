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

// What a pull brings can be used as soon as it is complete and verified. It is synced later. How
// much later depends on what else the machine writes. No pull waits for that, but Close does. Until
// then a killed process loses nothing, but a crash of the machine may lose it. So what is synced
// has a mark. The process that opens the store first after a start of the machine checks everything
// without a mark:
//
//   - a blob that is synced cannot be written to by its mode; another is removed unless it still
//     has its digest
//   - a synced root filesystem has a mark beside it that says so, any other in which boot it was
//     made; that of another boot is removed, and made again of its layers when it is needed
//   - a record that was not written to its end cannot be read, and counts as none
//
// A pull never loses what was synced. A file that replaces another is synced before it does. The
// blobs of an image are synced before a reference means it that meant another image.

const (
	syncedMode = 0o400
	markFile   = "synced" // one byte, which cannot be written by halves, and the ID of the boot
	unsynced   = "-"
	synced     = "+"    // written when everything else is on disk
	bootFile   = "boot" // in the store's folder: in which boot of the machine what is there was looked at
)

// bootID is a file with an ID that is new after each start of the machine.
const bootID = "/proc/sys/kernel/random/boot_id"

func readBoot() (string, error) {
	id, err := os.ReadFile(bootID)
	return strings.TrimSpace(string(id)), err
}

// recover checks what a crash of the machine may have damaged. One process does that in each boot,
// before any process uses the store.
func (d *disk) recover(log *zap.Logger) error {
	return withLock(context.Background(), d.lock(), unix.LOCK_EX, func() error {
		at := filepath.Join(d.dir, bootFile)
		if looked, err := os.ReadFile(at); err == nil && string(looked) == d.roots.boot {
			return nil
		}
		if err := errors.Join(d.blobs.recover(), d.roots.recover()); err != nil {
			return err
		}
		if err := os.WriteFile(at, []byte(d.roots.boot), 0o600); err != nil { // as on a full disk
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

// check removes a blob that does not have its digest, and syncs and marks any other.
func (b blobs) check(digest string) error {
	f, err := os.Open(b.path(digest))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
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

// syncDelay is how long what was pulled waits for more of it, and so lets that go first.
const syncDelay = time.Second

// brought is what pulls have brought and what is not synced.
type brought struct {
	blobs   []blob
	records []string // their files
	roots   []string // their names
}

// syncer syncs what pulls have brought, a while after each, and not beside each other.
type syncer struct {
	disk *disk
	log  *zap.Logger

	mu     sync.Mutex
	next   brought
	active bool // a goroutine takes care of it
	done   sync.WaitGroup

	closing   chan struct{} // closed when the syncer must not wait any more
	closeOnce sync.Once
}

// later syncs what was brought in another goroutine. close waits for it.
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

// syncWaiting waits, syncs what was brought until then, and reports whether to call it again.
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

// sync syncs what was brought. That may be removed meanwhile. A blob that cannot be written to the
// disk is removed, because it may be lost at any time.
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

// mark says of the root in dir that it is not synced yet.
func (r roots) mark(dir string) error {
	return os.WriteFile(filepath.Join(dir, markFile), []byte(unsynced+r.boot), 0o600)
}

// sync syncs a root, which may be removed meanwhile.
func (r roots) sync(id string) error {
	mark, err := os.OpenFile(filepath.Join(r.path(id), markFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer mark.Close() //nolint:errcheck // what matters is synced
	if err := unix.Syncfs(int(mark.Fd())); err != nil {
		return fmt.Errorf("syncing %s: %w", r.path(id), err)
	}
	if _, err := mark.WriteAt([]byte(synced), 0); err != nil {
		return err
	}
	return mark.Sync()
}

// syncPath syncs a file, or the names in a folder. It is no error if it does not exist.
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

// close waits until everything that was brought is synced.
func (q *syncer) close() {
	q.closeOnce.Do(func() { close(q.closing) })
	q.done.Wait()
}
