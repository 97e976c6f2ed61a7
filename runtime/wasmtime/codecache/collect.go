package codecache

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

// abandonedAfter is the age after which no process uses an incomplete file, or a folder of another
// key. Before that, another agent may be starting or ending.
const abandonedAfter = time.Hour

// entry is a file of the cache.
type entry struct {
	path   string
	digest string
	size   int64
	used   time.Time
}

// Collect removes the least recently used code until the rest fits the bound. It keeps code that is
// in use.
func (c *Cache) Collect(inUse func(digest string) bool) error {
	all, err := c.list()
	if err != nil {
		return fmt.Errorf("collecting compiled code: %w", err)
	}
	var total int64
	for _, f := range all {
		total += f.size
	}
	slices.SortFunc(all, func(a, b entry) int { return a.used.Compare(b.used) })
	var errs []error
	for _, f := range all {
		if total <= c.size {
			break
		}
		if inUse(f.digest) {
			continue
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("collecting compiled code: %w", err))
			continue
		}
		total -= f.size
	}
	return errors.Join(errs...)
}

// list returns the files of the cache. It removes old files of Create for which neither Keep nor
// Discard was called.
func (c *Cache) list() ([]entry, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // it was removed in the meantime
		}
		path := filepath.Join(c.dir, e.Name())
		if hex, ok := strings.CutSuffix(e.Name(), suffix); ok {
			all = append(all, entry{path: path, digest: digestPrefix + hex, size: info.Size(), used: info.ModTime()})
		} else if strings.HasPrefix(e.Name(), newPrefix) && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(path) // otherwise the next Collect does so
		}
	}
	return all, nil
}

// RemoveStale removes the folders of other keys that were not used for an hour.
func (c *Cache) RemoveStale() error {
	parent := filepath.Dir(c.dir)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("removing stale compiled code: %w", err)
	}
	var errs []error
	for _, e := range entries {
		dir := filepath.Join(parent, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), folderPrefix) || dir == c.dir || time.Since(lastUsed(dir)) < abandonedAfter {
			continue
		}
		if err := filetree.Remove(context.Background(), dir); err != nil {
			errs = append(errs, fmt.Errorf("removing stale compiled code: %w", err))
		}
	}
	return errors.Join(errs...)
}

// lastUsed returns when a file of the folder was last made or used.
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

// RemoveModule removes the compiled code of a module, for all keys. dir is the Dir of a Config. It
// returns how many bytes that freed.
func RemoveModule(dir, digest string) (freed int64, err error) {
	if err := CheckDigest(digest); err != nil {
		return 0, err
	}
	files, err := filepath.Glob(filepath.Join(dir, folderPrefix+"*", strings.TrimPrefix(digest, digestPrefix)+suffix))
	var errs []error
	for _, f := range files {
		info, err := os.Lstat(f)
		if err == nil {
			err = os.Remove(f)
		}
		if err == nil {
			freed += info.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing compiled code: %w", err))
		}
	}
	return freed, errors.Join(append(errs, err)...)
}
