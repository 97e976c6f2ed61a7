package registry

import (
	"context"
	"errors"
	"io"
	"os"
	"path"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// purpose is why an image is pulled.
type purpose int

const (
	toKeep purpose = iota // it must be on disk, and may run later
	toRun                 // a module of it runs
	toShow                // a volume shows its files, of any kind
)

// LookupFiles is Lookup for an image whose files are shown and do not run. In the Module that it
// returns, Root, Image, ImageID and Size are set. Every image has files, whatever its platform is:
//
//   - An image with a root filesystem has the files of that. From an index, the image for
//     WebAssembly is taken, or else the one for Linux on this machine's processor, or else the
//     only one.
//   - Another artifact has one file for each layer. The layer's title is its name
//     (org.opencontainers.image.title). A single module without a title has the last part of the
//     repository and `.wasm` as its name.
//
// An image whose files are on disk may be missing as a module, and the other way round. A root
// filesystem from which containers run serves both. Files of the node, fs/PATH, are refused with an
// error of the class ErrInvalidReference.
func (s *Store) LookupFiles(ctx context.Context, image string, keys distribution.Keys) (m Module, present bool, err error) {
	ref, err := s.filesReference(image)
	if err != nil {
		return Module{}, false, err
	}
	return s.lookup(ctx, image, ref, keys, toShow)
}

// PullFiles is Pull for an image whose files are shown. It sets the same fields of the Module as
// LookupFiles.
func (s *Store) PullFiles(ctx context.Context, image string, keys distribution.Keys) (Pulled, error) {
	ref, err := s.filesReference(image)
	if err != nil {
		return Pulled{}, err
	}
	return s.pullShared(ctx, image, ref, keys, toShow)
}

func (s *Store) filesReference(image string) (distribution.Reference, error) {
	ref, err := distribution.ParseReference(image, s.hosts)
	if err == nil && ref.Path != "" {
		err = fault.New(fault.ErrInvalidReference, nil, "%.300q names a file of the node, and no image whose files a volume could show; use a hostPath volume", image)
	}
	return ref, err
}

// resolveFiles is resolve for an image whose files are shown.
func resolveFiles(ctx context.Context, remote *distribution.Repository, ref distribution.Reference) (plan, error) {
	m, digest, err := findManifest(ctx, remote, ref.ManifestID(), manifest.Manifest.ChooseFiles)
	if err != nil {
		return plan{}, err
	}
	for _, layer := range m.Layers {
		if err := manifest.CheckLayer(layer, 0); err != nil {
			return plan{}, err
		}
	}
	if !m.HasRootfs() {
		names, err := m.FileNames(path.Base(ref.Repository()))
		files := newTree(m.Layers, nil, names)
		return plan{m.Layers, manifest.File, record{Manifest: digest, Files: &files}}, err
	}
	c, err := fetchConfig(ctx, remote, *m.Config)
	if err != nil {
		return plan{}, err
	}
	if err := m.CheckDiffIDs(c); err != nil {
		return plan{}, err
	}
	files := newTree(m.Layers, c.RootFS.DiffIDs, nil)
	return plan{m.Layers, manifest.Layer, record{Manifest: digest, Files: &files}}, nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // the file was only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
