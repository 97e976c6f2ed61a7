package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// DefaultCacheSize bounds the compiled code on disk where the Config does not, in bytes: some two hundred
// programs of Go.
const DefaultCacheSize = 2 << 30

// newPrefix starts the names of files that are being written.
const newPrefix = ".new-"

// abandonedAfter is when a file that is being written, or a folder of another version, has nobody any more who
// could use it: another agent may be on its way out, or in.
const abandonedAfter = time.Hour

// cacheEntry is a file of the cache.
type cacheEntry struct {
	path   string
	digest string
	size   int64
	used   time.Time
}

// collect removes the code that was used the longest ago until what is left fits the bound. Code that is in use
// stays.
func (c *diskCache) collect(inUse func(digest string) bool) error {
	all, err := c.list()
	if err != nil {
		return fmt.Errorf("collect compiled code: %w", err)
	}
	var total int64
	for _, f := range all {
		total += f.size
	}
	slices.SortFunc(all, func(a, b cacheEntry) int { return a.used.Compare(b.used) })
	var errs []error
	for _, f := range all {
		if total <= c.size {
			break
		}
		if inUse(f.digest) {
			continue
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("collect compiled code: %w", err))
			continue
		}
		total -= f.size
	}
	return errors.Join(errs...)
}

// list has the files of the cache, and removes those that were never finished.
func (c *diskCache) list() ([]cacheEntry, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []cacheEntry
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		path := filepath.Join(c.dir, e.Name())
		if hex, ok := strings.CutSuffix(e.Name(), cacheSuffix); ok {
			all = append(all, cacheEntry{path: path, digest: digestPrefix + hex, size: info.Size(), used: info.ModTime()})
		} else if strings.HasPrefix(e.Name(), newPrefix) && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(path) // or the next one does
		}
	}
	return all, nil
}

// removeStale removes what other versions of the engine or of its settings have left.
func (c *diskCache) removeStale() error {
	parent := filepath.Dir(c.dir)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("remove stale compiled code: %w", err)
	}
	var errs []error
	for _, e := range entries {
		dir := filepath.Join(parent, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), cacheFolder) || dir == c.dir || time.Since(lastUsed(dir)) < abandonedAfter {
			continue
		}
		if err := filetree.Remove(context.Background(), dir); err != nil {
			errs = append(errs, fmt.Errorf("remove stale compiled code: %w", err))
		}
	}
	return errors.Join(errs...)
}

// lastUsed is when something in the folder was made or used last.
func lastUsed(dir string) time.Time {
	var last time.Time
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}

// CompiledPath is where a Compiler or Engine of this build keeps the compiled code of a module, in the folder that is its
// Config's CacheDir.
func CompiledPath(cacheDir, digest string) string { return newDiskCache(cacheDir, 0).path(digest) }

// RemoveCompiled removes the compiled code of a module, of whatever engine, from the folder that is a Config's CacheDir, and
// says how many bytes that freed. Whoever needs it compiles it anew.
func RemoveCompiled(cacheDir, digest string) (freed int64, err error) {
	if err := checkDigest(digest); err != nil {
		return 0, err
	}
	files, err := filepath.Glob(filepath.Join(cacheDir, cacheFolder+"*", strings.TrimPrefix(digest, digestPrefix)+cacheSuffix))
	var errs []error
	for _, f := range files {
		info, err := os.Lstat(f)
		if err == nil {
			err = os.Remove(f)
		}
		if err == nil {
			freed += info.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove compiled code: %w", err))
		}
	}
	return freed, errors.Join(append(errs, err)...)
}
