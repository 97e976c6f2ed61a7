package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// A volume in memory is a tmpfs with two directories: the files that guests see, and the parts that
// runs use.
const (
	memoryFiles = "files"
	memoryParts = "parts"
)

// contentDir makes the directory of a volume with content. It is in memory if inMemory is set and
// the agent may mount. If an earlier agent made it on disk, it stays on disk, because guests may
// use it.
func (v *Volumes) contentDir(volume string, inMemory bool) (made, error) {
	m := made{readOnly: true}
	dir := filepath.Join(v.Dir, volume)
	memory, err := isMount(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return made{}, err
	}
	if !memory && inMemory && !occupied(dir) {
		if _, err := v.dir(volume, 0o700); err != nil {
			return made{}, err
		}
		if memory, err = mountMemory(dir, "mode=0700"); err != nil {
			return made{}, err
		}
		if !memory {
			v.Log.Debug("this agent may not mount: a volume with secrets is on disk", zap.String("volume", volume))
		}
	}
	if !memory {
		m.host, err = v.dir(volume, 0o755)
		return m, err
	}
	for _, name := range []string{memoryFiles, memoryParts} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return made{}, fmt.Errorf("making the volume's directory: %w", err)
		}
	}
	// The data directory may be behind a link.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return made{}, err
	}
	m.host, m.parts = filepath.Join(dir, memoryFiles), filepath.Join(dir, memoryParts)
	return m, os.Chmod(m.host, 0o755) //nolint:gosec // guests read it; the umask may have cleared bits
}

// occupied reports whether a directory has entries.
func occupied(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}
