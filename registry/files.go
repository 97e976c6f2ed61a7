package registry

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// purpose is what an image is pulled for.
type purpose int

const (
	toKeep purpose = iota // it is to be here, and may run later
	toRun                 // a module of it is to run
	toShow                // its files are shown in a volume, whatever they are
)

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
	return s.lookup(ctx, image, ref, keys, toShow)
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
	if !m.hasRootfs() {
		names, err := m.fileNames(path.Base(ref.repository()))
		files := newTree(m.Layers, nil, names)
		return plan{m.Layers, plainFile, record{Manifest: digest, Files: &files}}, err
	}
	c, err := fetchConfig(ctx, remote, *m.Config)
	if err != nil {
		return plan{}, err
	}
	if err := m.checkDiffIDs(c); err != nil {
		return plan{}, err
	}
	files := newTree(m.Layers, c.RootFS.DiffIDs, nil)
	return plan{m.Layers, tarLayer, record{Manifest: digest, Files: &files}}, nil
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
