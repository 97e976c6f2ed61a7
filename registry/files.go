package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// purpose is what an image is pulled for.
type purpose int

const (
	toRun  purpose = iota // a module of it is to run
	toShow                // its files are shown in a volume, whatever they are
)

// fileTree is what is remembered of an image whose files are shown.
type fileTree struct {
	Rootfs string   `json:"rootfs"` // name of the folder with the files
	Layers []string `json:"layers"` // digests
	Size   int64    `json:"size"`   // of all layers, as fetched, in bytes
}

// LookupFiles is Lookup of an image whose files are to be shown, not run: of the Module that it returns, Root, Image, ImageID and
// Size are set. Any image has files, for whichever platform it is:
//
//   - one with a root filesystem those in it: of an index, that for WebAssembly, else that for Linux on this machine's processor,
//     else the only one there is;
//   - another artifact one for each layer, called by the layer's title (org.opencontainers.image.title); a single module without
//     a title is called by the last part of the repository, and `.wasm`.
//
// What is on disk as files may not be as a module, and the other way round; a root filesystem that containers run from is both.
// Files of the node, fs/PATH, are refused as of the class ErrInvalidReference.
func (s *Store) LookupFiles(ctx context.Context, image string, keys Keys) (m Module, present bool, err error) {
	ref, err := s.filesReference(image)
	if err != nil {
		return Module{}, false, err
	}
	return s.lookup(ctx, image, ref, keys, s.filesOf)
}

// PullFiles is Pull of an image whose files are to be shown; of the Module in what it returns that is set which LookupFiles sets.
func (s *Store) PullFiles(ctx context.Context, image string, keys Keys) (Pulled, error) {
	ref, err := s.filesReference(image)
	if err != nil {
		return Pulled{}, err
	}
	return s.pullShared(ctx, image, ref, keys, toShow)
}

func (s *Store) filesReference(image string) (reference, error) {
	ref, err := parseReference(image, s.hosts)
	if err == nil && ref.path != "" {
		err = fail(ErrInvalidReference, nil, "%.300q names a file of the node, and no image whose files a volume could show; use a hostPath volume", image)
	}
	return ref, err
}

// filesOf are the files of a reference of which rec is remembered. It is an error if they are not on disk.
func (s *Store) filesOf(ref reference, rec record) (Module, error) {
	id, size := rec.Rootfs, rec.Size
	if rec.Files != nil {
		id, size = rec.Files.Rootfs, rec.Files.Size
	}
	if id == "" {
		return Module{}, fs.ErrNotExist
	}
	root, err := s.roots.open(id)
	if err != nil {
		return Module{}, err
	}
	return Module{Root: root, Size: size, ImageID: ref.at(rec.Manifest)}, nil
}

// resolveFiles is resolve for an image whose files are shown.
func resolveFiles(ctx context.Context, remote *session, ref reference) (plan, error) {
	m, digest, err := findManifest(ctx, remote, ref.manifestID(), manifest.chooseFiles)
	if err != nil {
		return plan{}, err
	}
	for _, layer := range m.Layers {
		if err := checkLayer(layer, 0); err != nil {
			return plan{}, err
		}
	}
	p := plan{manifest: digest, purpose: toShow, layers: m.Layers}
	if !m.hasRootfs() {
		p.kind = plainFile
		p.names, err = m.fileNames(path.Base(ref.repository()))
		return p, err
	}
	c, err := fetchConfig(ctx, remote, *m.Config)
	if err != nil {
		return plan{}, err
	}
	p.kind, p.diffIDs = tarLayer, c.RootFS.DiffIDs
	return p, m.checkDiffIDs(c)
}

// chooseFiles is choose where only the files matter.
func (m manifest) chooseFiles() (v1.Descriptor, error) {
	next, err := m.choose()
	if err == nil {
		return next, nil
	}
	var images []indexEntry
	for _, e := range m.Manifests {
		if !e.isImage() {
			continue
		}
		images = append(images, e)
		if p := e.Platform; p != nil && p.OS == "linux" && p.Architecture == runtime.GOARCH {
			return e.Descriptor, checkLayer(e.Descriptor, 0)
		}
	}
	return v1.Descriptor{}, fail(ErrInvalidImage, nil, "found an index of %d images%s, none of them for WebAssembly or %s; name one by its digest",
		len(images), platforms(images), platform("linux", runtime.GOARCH))
}

// titleKey is the annotation of a layer that says what its file is called.
const titleKey = "org.opencontainers.image.title"

// fileNames are what the files of an artifact without a root filesystem are called, in the order of its layers.
func (m manifest) fileNames(image string) ([]string, error) {
	if len(m.Layers) == 0 {
		return nil, fail(ErrInvalidImage, nil, "found an image without layers (%s): it has no files", m.forms())
	}
	var names []string
	for _, layer := range m.Layers {
		title, titled := layer.Annotations[titleKey]
		switch {
		case titled:
		case len(m.Layers) == 1 && slices.Contains(moduleLayers, layer.MediaType):
			title = image + ".wasm"
		default:
			return nil, fail(ErrInvalidImage, nil, "found an artifact (%s) with a layer that no annotation %s gives a file name", m.forms(), titleKey)
		}
		name := path.Clean(title)
		if !isFileName(name) {
			return nil, fail(ErrInvalidImage, nil, "the title of a layer is %.100q; it must be the name of a file, without a folder", title)
		}
		if slices.Contains(names, name) {
			return nil, fail(ErrInvalidImage, nil, "two layers have the title %.100q", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// isFileName says whether a clean path is the name of a file that is no more than that.
func isFileName(name string) bool {
	return name != "." && name != ".." && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool {
		return r == '/' || r == '\\' || r < ' ' || r == 0x7f
	})
}

// assembleFiles is assemble for an image whose files are shown.
func (s *Store) assembleFiles(ctx context.Context, p plan, f *fetching) (record, error) {
	tree := &fileTree{}
	tree.Layers, tree.Size = p.content()
	fill := func(ctx context.Context, dir string) error { return s.roots.unpack(ctx, dir, s.tars(p, f), toShow) }
	if p.kind == tarLayer {
		tree.Rootfs = rootID(tree.Layers, p.diffIDs)
	} else {
		quoted := make([]string, len(p.names)) // so that none can be taken for a digest
		for i, name := range p.names {
			quoted[i] = strconv.Quote(name)
		}
		tree.Rootfs = rootID(tree.Layers, quoted)
		fill = func(ctx context.Context, dir string) error { return s.place(ctx, dir, p, f) }
	}
	return record{Manifest: p.manifest, Files: tree}, s.makeRoot(ctx, tree.Rootfs, fill)
}

// place makes what dir is to hold of an artifact whose layers are files. They are copied: what is shown is not what others trust.
func (s *Store) place(ctx context.Context, dir string, p plan, f *fetching) error {
	tree := filepath.Join(dir, treeFolder)
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	if _, size := p.content(); size > s.roots.limits.Bytes {
		return fail(ErrTooLarge, nil, "the image's files have %d bytes; this node takes up to %d", size, s.roots.limits.Bytes)
	}
	for i, name := range p.names {
		b, err := f.await(ctx, i)
		if err != nil {
			return err
		}
		if err := copyFile(b.path, filepath.Join(tree, name)); err != nil {
			return fmt.Errorf("placing the image's files: %w", err)
		}
	}
	return s.roots.index(dir, nil)
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
