package manifest

import (
	"path"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// ChooseFiles is Choose for images of which only the files are used.
func (m Manifest) ChooseFiles() (v1.Descriptor, error) {
	next, err := m.Choose()
	if err == nil {
		return next, nil
	}
	var images []Entry
	for _, e := range m.Manifests {
		if !e.isImage() {
			continue
		}
		images = append(images, e)
		if p := e.Platform; p != nil && p.OS == "linux" && p.Architecture == runtime.GOARCH {
			return e.Descriptor, CheckLayer(e.Descriptor, 0)
		}
	}
	return v1.Descriptor{}, fault.New(fault.ErrInvalidImage, nil, "found an index of %d images%s, none of them for WebAssembly or %s; name one by its digest",
		len(images), platforms(images), platform("linux", runtime.GOARCH))
}

// TitleKey is the annotation of a layer that gives the name of its file.
const TitleKey = "org.opencontainers.image.title"

// FileNames are the names of the files of an artifact without a root filesystem, in the order of
// its layers.
func (m Manifest) FileNames(image string) ([]string, error) {
	if len(m.Layers) == 0 {
		return nil, fault.New(fault.ErrInvalidImage, nil, "found an image without layers (%s): it has no files", m.forms())
	}
	var names []string
	for _, layer := range m.Layers {
		title, titled := layer.Annotations[TitleKey]
		switch {
		case titled:
		case len(m.Layers) == 1 && slices.Contains(moduleLayers, layer.MediaType):
			title = image + ".wasm"
		default:
			return nil, fault.New(fault.ErrInvalidImage, nil, "found an artifact (%s) with a layer that no annotation %s gives a file name", m.forms(), TitleKey)
		}
		name := path.Clean(title)
		if !isFileName(name) {
			return nil, fault.New(fault.ErrInvalidImage, nil, "the title of a layer is %.100q; it must be the name of a file, without a folder", title)
		}
		if slices.Contains(names, name) {
			return nil, fault.New(fault.ErrInvalidImage, nil, "two layers have the title %.100q", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// isFileName reports whether a clean path is only the name of a file.
func isFileName(name string) bool {
	return name != "." && name != ".." && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool {
		return r == '/' || r == '\\' || r < ' ' || r == 0x7f
	})
}
