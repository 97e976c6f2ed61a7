package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/flock"
)

// cache is what runs of `krustlet-wasi run` share on disk:
//
//	compiled/        compiled code of the engine; many processes may use it at once
//	images/HEX/      one module store for each image, by the SHA-256 of its reference, and
//	images/HEX.lock  the lock of the run that uses the store
//
// The store of an agent is another one: it belongs to the one agent that holds its data directory.
// Only one process may use a module store at a time. With a store for each image, runs of one image
// take turns: the first pulls the image, and the others find it there. No run waits for the pull of
// another image.
type cache struct {
	dir     string
	scratch *scratch // nil: other runs share the cache
}

// defaultCacheDir is where a run keeps what it need not fetch or compile again: the user's cache
// directory in the XDG Base Directory Specification. It is empty if the user has none.
func defaultCacheDir(env cmdline.Environment) string {
	// The specification says that relative paths are ignored.
	if dir, _ := env("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "krustlet-wasi")
	}
	if home, _ := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".cache", "krustlet-wasi")
	}
	return ""
}

// openCache makes the cache's folder. Without a name, or if the name is only a default and the
// folder cannot be written, the folder is for this run alone.
func openCache(dir string, isDefault bool, log *zap.Logger) (cache, error) {
	if dir == "" {
		return temporaryCache()
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = unix.Access(dir, unix.W_OK|unix.X_OK)
	}
	if err != nil && isDefault {
		log.Warn("there is no cache directory, so the module is compiled for this run alone; set --cache-dir", zap.Error(err))
		return temporaryCache()
	}
	if err != nil {
		return cache{}, fmt.Errorf("using the cache directory %s: %w; set --cache-dir", dir, err)
	}
	warnOfOthers(dir, log)
	return cache{dir: dir}, nil
}

func temporaryCache() (cache, error) {
	own, err := newScratch()
	if err != nil {
		return cache{}, fmt.Errorf("making a folder for compiled modules: %w; set --cache-dir", err)
	}
	return cache{dir: own.dir, scratch: own}, nil
}

// warnOfOthers warns if other users may put code into the cache.
func warnOfOthers(dir string, log *zap.Logger) {
	info, err := os.Stat(dir)
	if err != nil {
		return // the next use of the folder reports the error
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm()&0o022 != 0 || known && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		log.Warn("others may write to the cache directory, and what is compiled there runs as you; own it, and run chmod go-w on it, or set --cache-dir",
			zap.String("cacheDir", dir), zap.Stringer("mode", info.Mode()))
	}
}

// close removes a cache that is for this run alone.
func (c cache) close() error {
	if c.scratch == nil {
		return nil
	}
	return c.scratch.remove()
}

func (c cache) compiled() string { return filepath.Join(c.dir, "compiled") }

// store is the folder of the image's module store. It belongs to the caller until release.
func (c cache) store(ctx context.Context, image string) (dir string, release func(), err error) {
	sum := sha256.Sum256([]byte(image))
	dir = filepath.Join(c.dir, "images", hex.EncodeToString(sum[:]))
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", nil, fmt.Errorf("making the folder of images: %w; set --cache-dir", err)
	}
	file, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("opening the image's lock: %w; set --cache-dir", err)
	}
	if err := awaitLock(ctx, file); err != nil {
		_ = file.Close()
		return "", nil, err
	}
	// The lock ends with the file's descriptor. The file stays. That it exists means nothing.
	return dir, func() { _ = file.Close() }, nil
}

// lockRetry is how long to wait before the next try for a lock. A context cannot end flock(2)'s own
// wait.
const lockRetry = 20 * time.Millisecond

// awaitLock takes the lock, or gives up with the context's error.
func awaitLock(ctx context.Context, file *os.File) error {
	tick := time.NewTicker(lockRetry)
	defer tick.Stop()
	for {
		err := flock.TryExclusive(file)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("locking %s: %w", file.Name(), err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for another run that pulls the same image: %w", context.Cause(ctx))
		}
	}
}
