package registry

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// ImageModule is one of an image's modules on disk.
type ImageModule struct {
	// Name is its absolute path in the root filesystem. It is empty for an image that is one
	// module.
	Name string
	// Path is the absolute path of the file, which must only be read.
	Path string
	// Digest is the SHA-256 of the file, `sha256:` and 64 hexadecimal digits.
	Digest string
	// Size is the size of the file, in bytes.
	Size int64
	// Component reports whether it is a component and not a core module.
	Component bool
	// Main reports whether it runs where a pod names none.
	Main bool
}

// Modules lists the modules of an image: the main one first, then by their names. It unpacks
// nothing: an image with a root filesystem has none before something needed its files. What is
// removed at the same time is left out.
func (s *Store) Modules(i Image) ([]ImageModule, error) {
	all, err := s.modules(i.rec)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("listing the modules of %s: %w", i.ID, err)
	}
	return all, nil
}

func (s *Store) modules(rec record) ([]ImageModule, error) {
	if rec.Rootfs == "" && rec.Module == "" {
		return nil, nil
	}
	if rec.Rootfs == "" {
		b, err := s.blobs.find(rec.Module, manifest.Module)
		return []ImageModule{{Path: b.path, Digest: b.digest, Size: b.size, Component: b.component, Main: true}}, err
	}
	root, err := s.roots.open(rec.Rootfs)
	if err != nil {
		return nil, err
	}
	main, err := root.module(rec.Config)
	if err != nil {
		return nil, err
	}
	var all []ImageModule
	for name, m := range root.modules {
		path := filepath.Join(root.Dir, filepath.FromSlash(name))
		all = append(all, ImageModule{Name: name, Path: path, Digest: m.Digest, Size: m.Size, Component: m.Component, Main: path == main.Path})
	}
	slices.SortFunc(all, func(a, b ImageModule) int {
		switch {
		case a.Main:
			return -1
		case b.Main:
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return all, nil
}
