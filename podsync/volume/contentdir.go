package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
)

// inMemory says whether a volume's content is for no disk: secrets, tokens, and what stands beside them in one volume.
func inMemory(volume *corev1.Volume) bool {
	return volume.Secret != nil || volume.Projected != nil || volume.DownwardAPI != nil
}

// A volume in memory is a tmpfs of its own with two directories: what guests see of it, and parts of it as runs found them.
const (
	memoryFiles = "files"
	memoryParts = "parts"
)

// contentDir makes the directory of a volume with content: in memory where its kind asks for that and the agent may mount. One
// that an earlier agent has made on disk stays there, as guests have it.
func (v *Volumes) contentDir(volume *corev1.Volume) (made, error) {
	m := made{readOnly: true, content: true}
	dir := filepath.Join(v.Dir, volume.Name)
	memory, err := isMount(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return made{}, err
	}
	if !memory && inMemory(volume) && !occupied(dir) {
		if _, err := v.dir(volume.Name, 0o700); err != nil {
			return made{}, err
		}
		if memory, err = mountMemory(dir, "mode=0700"); err != nil {
			return made{}, err
		}
		if !memory {
			v.Log.Debug("this agent may not mount: a volume with secrets is on disk", zap.String("volume", volume.Name))
		}
	}
	if !memory {
		m.host, err = v.dir(volume.Name, 0o755)
		return m, err
	}
	for _, name := range []string{memoryFiles, memoryParts} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return made{}, fmt.Errorf("making the volume's directory: %w", err)
		}
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // the data directory may lie behind one
		return made{}, err
	}
	m.host, m.parts = filepath.Join(dir, memoryFiles), filepath.Join(dir, memoryParts)
	return m, os.Chmod(m.host, 0o755) //nolint:gosec // whatever the umask
}

// occupied says whether a directory holds something.
func occupied(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}
