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

// cache is the files that runs of `krustlet-wasi run` share on disk:
//
//	compiled/        compiled code of the engine; many processes may use it at the same time
//	images/HEX/      one module store for each image, by the SHA-256 of its reference
//	images/HEX.lock  the lock of the run that uses the store
//
// An agent has another store, in its data directory, which belongs to that agent alone. Only one
// process at a time may use a module store. Each image has its own store, so runs of one image take
// turns: the first run pulls the image, and the others find it there. No run waits for the pull of
// another image.
type cache struct {
	dir     string
	scratch *scratch // nil: other runs share the cache
}

// defaultCacheDir is the folder for data that a run need not fetch or compile again: the user's
// cache directory in the XDG Base Directory Specification. It is empty if the user has none.
func defaultCacheDir(env cmdline.Environment) string {
	// The specification says that a program must ignore relative paths.
	if dir, _ := env("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "krustlet-wasi")
	}
	if home, _ := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".cache", "krustlet-wasi")
	}
	return ""
}

// openCache makes the cache's folder. This run gets a folder of its own if dir is empty, or if dir
// is only the default and is not writable.
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

// warnOfOthers warns if other users may write code into the cache.
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

// close removes the cache if it is this run's own.
func (c cache) close() error {
	if c.scratch == nil {
		return nil
	}
	return c.scratch.remove()
}

func (c cache) compiled() string { return filepath.Join(c.dir, "compiled") }

// store returns the folder of the image's module store. The caller owns it until release.
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
	// The lock ends when the file is closed. The file stays: its existence means nothing.
	return dir, func() { _ = file.Close() }, nil
}

// lockRetry is the delay before the next try for a lock. The program polls because a context cannot
// interrupt flock(2).
const lockRetry = 20 * time.Millisecond

// awaitLock takes the lock. If ctx ends first, it returns the context's error.
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
