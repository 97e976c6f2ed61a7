package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
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

	Pulled time.Time `json:"pulled"`
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

// image is the ID of what the reference means.
func (r record) image() string { return repositoryOf(r.Reference) + "@" + r.Manifest }

// content are the digests of the blobs that the image is made of.
func (r record) content() []string {
	if r.Rootfs != "" {
		return r.Layers
	}
	return []string{r.Module}
}

// repositoryOf cuts the tag or the digest off a reference in full.
func repositoryOf(reference string) string {
	if repo, _, digested := strings.Cut(reference, "@"); digested {
		return repo
	}
	return reference[:strings.LastIndexByte(reference, ':')]
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

// all returns what is remembered, and when each record was last used or written. Damaged records are left out.
func (r refs) all() (map[string]remembered, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, err
	}
	found := map[string]remembered{}
	for _, e := range entries {
		path := filepath.Join(r.dir, e.Name())
		if filepath.Ext(path) != ".json" {
			continue
		}
		var rec record
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &rec)
		}
		info, statErr := e.Info()
		if err != nil || statErr != nil || r.path(rec.Reference) != path || !strings.ContainsAny(rec.Reference, ":@") {
			continue // gone meanwhile, or damaged: pulling mends it
		}
		found[rec.Reference] = remembered{rec, info.ModTime()}
	}
	return found, nil
}

// remembered is a record with the time of its file.
type remembered struct {
	record
	used time.Time
}

func (r refs) touch(name string) error {
	now := time.Now()
	return os.Chtimes(r.path(name), now, now)
}

func (r refs) forget(name string) error {
	err := os.Remove(r.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
