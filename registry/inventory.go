package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// Image is an image in a store.
type Image struct {
	// ID is REPOSITORY@DIGEST, with the digest of its manifest.
	ID string
	// Tags are the full references by tag that meant this image when they were last pulled. There
	// may be none.
	Tags []string
	// Module is the digest of the image's module. It is empty if the image has a root filesystem,
	// or if only its files were pulled.
	Module string
	// Size is the size of the image's fetched data, in bytes. Images may share data.
	Size int64
	// Component reports whether the module is a component.
	Component bool
	// Pulled is when the registry was last asked for it. It is zero if this is not known.
	Pulled time.Time
	// Used is when a container was last seen to use the image, or else when it was pulled.
	Used time.Time

	rec record
}

// Images lists the images in the store, by their IDs.
func (s *Store) Images() ([]Image, error) {
	all, err := s.refs.all()
	if err != nil {
		return nil, fmt.Errorf("listing the images: %w", err)
	}
	return imagesOf(all), nil
}

func imagesOf(all map[string]remembered) []Image {
	var images []Image
	for name, r := range all {
		if name != r.image() {
			continue
		}
		image := Image{
			ID: name, Module: r.Module, Component: r.Component, Pulled: r.Pulled, Used: r.used, Size: r.size(), rec: r.record,
		}
		for other, o := range all {
			if other != name && o.image() == name {
				image.Tags = append(image.Tags, other)
			}
		}
		slices.Sort(image.Tags)
		images = append(images, image)
	}
	slices.SortFunc(images, func(a, b Image) int { return strings.Compare(a.ID, b.ID) })
	return images
}

// Find returns the image that a reference means.
func (s *Store) Find(image string) (Image, error) {
	ref, err := distribution.ParseReference(image, s.hosts)
	if err != nil {
		return Image{}, err
	}
	all, err := s.Images()
	if err != nil {
		return Image{}, err
	}
	for _, i := range all {
		if ref.Path == "" && (i.ID == ref.Name() || slices.Contains(i.Tags, ref.Name())) {
			return i, nil
		}
	}
	return Image{}, fault.New(fault.ErrNotFound, nil, "there is no image %.300q in the store", image)
}

// ErrInUse means that containers use the image.
var ErrInUse = errors.New("the image is in use")

// Removal lists what was removed.
type Removal struct {
	// Images and Tags are those that the store does not know any more.
	Images, Tags []string
	// Modules are the digests of the modules that are not on the disk any more.
	Modules []string
	// Freed is the freed size, in bytes.
	Freed int64
}

// Remove removes a reference. For the last tag of an image, or for its ID, it also removes the
// image. An image is in use if used has one of its tags or its ID; then the error is of the class
// ErrInUse.
func (s *Store) Remove(ctx context.Context, image string, used []string) (done Removal, err error) {
	ref, err := distribution.ParseReference(image, s.hosts)
	if err != nil {
		return Removal{}, err
	}
	err = withLock(ctx, s.lock(), unix.LOCK_EX, func() error {
		all, err := s.refs.all()
		if err != nil {
			return err
		}
		for _, i := range imagesOf(all) {
			tagged := slices.Contains(i.Tags, ref.Name())
			switch {
			case ref.Path != "" || i.ID != ref.Name() && !tagged:
				continue
			case tagged && len(i.Tags) > 1:
				done.Tags = []string{ref.Name()}
				return s.refs.forget(ref.Name())
			case usageOf(used, s.hosts).image(i):
				return fault.New(ErrInUse, nil, "image %s is in use by a pod of this node; delete the pod first", i.ID)
			}
			return s.remove(i, all, &done)
		}
		return fault.New(fault.ErrNotFound, nil, "there is no image %.300q in the store", image)
	})
	return done, err
}

// needs are the digests of the blobs and the names of the root filesystems that the records refer
// to.
func needs(all map[string]remembered) map[string]bool {
	needed := map[string]bool{}
	for _, r := range all {
		for _, root := range r.folders() {
			needed[root] = true
		}
		for _, digest := range r.content() {
			needed[digest] = true
		}
	}
	return needed
}

// usage is what containers use: images by their names in the store, and local modules by their
// digests.
type usage struct {
	names   map[string]bool
	digests map[string]bool
}

func usageOf(images []string, hosts distribution.HostPolicy) usage {
	u := usage{map[string]bool{}, map[string]bool{}}
	for _, image := range images {
		switch ref, err := distribution.ParseReference(image, hosts); {
		case err != nil: // the store has no such image
		case ref.Path != "":
			u.digests[ref.Digest] = true
		default:
			u.names[ref.Name()] = true
		}
	}
	return u
}

func (u usage) image(i Image) bool {
	return u.names[i.ID] || slices.ContainsFunc(i.Tags, func(tag string) bool { return u.names[tag] })
}
