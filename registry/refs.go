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
	"slices"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// refs records what references meant when they were last pulled.
type refs struct {
	dir string
}

// record is what the store records about a reference, in its stored form.
type record struct {
	Reference string `json:"reference"` // in full
	Manifest  string `json:"manifest"`  // digest

	// For an image that is one module:
	Module    string `json:"module,omitempty"` // digest
	Component bool   `json:"component,omitempty"`
	// For an image with a root filesystem; for a module only the size is set:
	tree

	Config *manifest.Config `json:"config,omitempty"` // nil if the image has none

	// For an image whose files are shown. The other parts may be empty.
	Files *tree `json:"files,omitempty"`

	Pulled time.Time `json:"pulled"`
}

// whole reports whether a record has all its parts, each in its stored form.
func (r record) whole() bool {
	if !manifest.IsDigest(r.Manifest) {
		return false
	}
	if r.Files != nil && !rootForm.MatchString(r.Files.Rootfs) {
		return false
	}
	switch {
	case r.Rootfs != "":
		return rootForm.MatchString(r.Rootfs) && r.Config != nil
	case r.Module != "":
		return manifest.IsDigest(r.Module)
	}
	return r.Files != nil
}

// with returns the record with the additional parts of an older record of the same image. One image
// may be on disk both to run and to show its files.
func (r record) with(old record) record {
	if r.Module == "" && r.Rootfs == "" {
		r.Module, r.Component, r.tree, r.Config = old.Module, old.Component, old.tree, old.Config
	}
	if r.Files == nil {
		r.Files = old.Files
	}
	return r
}

// without returns the record without the parts for a purpose. The result may be incomplete.
func (r record) without(why purpose) record {
	if why == toShow && r.Files != nil {
		r.Files = nil
	} else {
		r.Module, r.Component, r.tree, r.Config = "", false, tree{}, nil
	}
	return r
}

// made is the tree that the image needs for a purpose. It is nil if the purpose needs none, or if
// nothing was fetched for it.
func (r record) made(why purpose) *tree {
	switch {
	case why == toShow && r.Files != nil:
		return r.Files
	case r.Rootfs != "":
		return &r.tree
	}
	return nil
}

// size is the size of what was fetched, in bytes.
func (r record) size() int64 {
	if r.Size == 0 && r.Files != nil {
		return r.Files.Size
	}
	return r.Size
}

// image is the ID of the image that the reference means.
func (r record) image() string { return repositoryOf(r.Reference) + "@" + r.Manifest }

// content are the digests of the image's blobs.
func (r record) content() []string {
	all := slices.Clone(r.Layers)
	if r.Module != "" {
		all = append(all, r.Module)
	}
	if r.Files != nil {
		all = append(all, r.Files.Layers...)
	}
	return all
}

// folders are the names of the image's root filesystems.
func (r record) folders() []string {
	var all []string
	if r.Rootfs != "" {
		all = append(all, r.Rootfs)
	}
	if r.Files != nil && r.Files.Rootfs != r.Rootfs {
		all = append(all, r.Files.Rootfs)
	}
	return all
}

// repositoryOf removes the tag or the digest from a full reference.
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

// get returns the record of name. For a reference that was never pulled the error is
// fs.ErrNotExist; for a damaged record it is another error.
func (r refs) get(name string) (record, error) {
	path := r.path(name)
	data, err := readRecord(path)
	if err != nil {
		return record{}, err
	}
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return record{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if rec.Reference != name || !rec.whole() {
		return record{}, fmt.Errorf("reading %s: %w", path, errDamaged)
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

// all returns all records, and when each was last used or written. It leaves out damaged records.
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
		data, err := readRecord(path)
		if err == nil {
			err = json.Unmarshal(data, &rec)
		}
		info, statErr := e.Info()
		if err != nil || statErr != nil || r.path(rec.Reference) != path || !strings.ContainsAny(rec.Reference, ":@") {
			continue // removed in the meantime, or damaged: the next pull repairs it
		}
		found[rec.Reference] = remembered{rec, info.ModTime()}
	}
	for _, r := range found {
		if _, known := found[r.image()]; !known { // after a crash only the tag's record may be left
			r.Reference = r.image()
			found[r.Reference] = r
		}
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
	err := os.Chtimes(r.path(name), now, now)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (r refs) forget(name string) error {
	err := os.Remove(r.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
