package podfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// ImagesOnDisk are the IDs of the images that the pods below a data directory run or show. No agent
// need run.
func ImagesOnDisk(dataDir string) ([]string, error) {
	if _, err := os.Lstat(notesDir(dataDir)); errors.Is(err, fs.ErrNotExist) {
		if pods, err := entriesOf(podsDir(dataDir)); err != nil || len(pods) > 0 {
			return nil, errors.Join(fmt.Errorf("which images the pods of %s run is not known: they are of an earlier version; start the agent of this one first", dataDir), err)
		}
	}
	pods := Pod{notes: filepath.Join(notesDir(dataDir), "*")}
	files, err := filepath.Glob(pods.specFile("*"))
	if err != nil {
		return nil, err
	}
	used, err := pods.Shown()
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		var spec runtime.Spec
		err := readJSON(file, &spec)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed in the meantime
		}
		if err != nil {
			return nil, fmt.Errorf("which images the pods of %s run is not known, so none can be said to be free; delete the pod whose UID is in the path: %w", dataDir, err)
		}
		used = append(used, spec.Of.ImageID)
	}
	return used, nil
}
