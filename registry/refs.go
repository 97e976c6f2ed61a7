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
	Module    string `json:"module"`    // digest
	Size      int64  `json:"size"`      // of the module, in bytes
	Component bool   `json:"component,omitempty"`
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
	if rec.Reference != name || !digestForm.MatchString(rec.Manifest) || !digestForm.MatchString(rec.Module) {
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
