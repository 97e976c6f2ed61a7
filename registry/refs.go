package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// refs remembers what references meant when they were last pulled.
type refs struct {
	dir string
}

// record is what is remembered of a reference, as stored.
type record struct {
	Reference string `json:"reference"` // in full
	Manifest  string `json:"manifest"`  // digest
	Size      int64  `json:"size"`      // of the module or of all layers, as fetched, in bytes

	// Of an image that is one module:
	Module    string `json:"module,omitempty"` // digest
	Component bool   `json:"component,omitempty"`
	// Of one with a root filesystem:
	Layers []string `json:"layers,omitempty"` // digests, the lowest first
	Rootfs string   `json:"rootfs,omitempty"` // name of what the layers make

	Config *ImageConfig `json:"config,omitempty"` // nil if the image has none
}

// whole says that nothing is missing in a record, or other than it is ever written.
func (r record) whole() bool {
	if !digestForm.MatchString(r.Manifest) {
		return false
	}
	if r.Rootfs == "" {
		return digestForm.MatchString(r.Module)
	}
	return rootForm.MatchString(r.Rootfs) && r.Config != nil
}

func (r refs) path(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(r.dir, hex.EncodeToString(sum[:])+".json")
}

// get returns what is remembered of name. A reference that was never pulled gives fs.ErrNotExist, a damaged
// record another error.
func (r refs) get(name string) (record, error) {
	path := r.path(name)
	data, err := os.ReadFile(path)
	if err != nil {
		return record{}, err
	}
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return record{}, fmt.Errorf("read %s: %w", path, err)
	}
	if rec.Reference != name || !rec.whole() {
		return record{}, fmt.Errorf("read %s: %w", path, errDamaged)
	}
	return rec, nil
}

var errDamaged = errors.New("damaged record")

func (r refs) put(rec record) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return writeFile(r.dir, func(f *os.File) (string, error) {
		_, err := f.Write(append(data, '\n'))
		return r.path(rec.Reference), err
	})
}

// layers are the digests of all layers that are remembered of any image.
func (r refs) layers() (map[string]bool, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(r.dir, entry.Name()))
		var rec record
		if err != nil || json.Unmarshal(data, &rec) != nil {
			continue // being written, or damaged: it has nothing that could be used
		}
		for _, digest := range rec.Layers {
			used[digest] = true
		}
	}
	return used, nil
}
