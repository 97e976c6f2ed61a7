package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// Image is an image in a store.
type Image struct {
	// ID is REPOSITORY@DIGEST, with the digest of its manifest.
	ID string
	// Tags are the references by tag, in full, that meant the image when they were last pulled. There may be none.
	Tags []string
	// Module is the digest of the module that the image is; empty for one with a root filesystem, or of which only the files
	// were pulled.
	Module string
	// Size is that of what was fetched of it, in bytes; images may share that.
	Size int64
	// Component tells that the module is a component.
	Component bool
	// Pulled is when the registry was last asked for it; zero if that is not known.
	Pulled time.Time
	// Used is when a container was last seen to use it, or else when it was pulled.
	Used time.Time

	rec record
}

// Images lists the images in the store, by their IDs.
func (s *Store) Images() ([]Image, error) {
	all, err := s.refs.all()
	if err != nil {
		return nil, fmt.Errorf("list the images: %w", err)
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

// ErrInUse is an image that containers use.
var ErrInUse = errors.New("the image is in use")

// Removal is what was removed.
type Removal struct {
	// Images and Tags are what is no longer known.
	Images, Tags []string
	// Modules are the digests of the modules that are no longer on the disk.
	Modules []string
	// Freed is in bytes.
	Freed int64
}

// Remove forgets a reference, and with an image's last reference by tag, or its ID, the image. An image is in use if used has
// one of its tags or its ID; then the error is of the class ErrInUse.
func (s *Store) Remove(ctx context.Context, image string, used []string) (done Removal, err error) {
	ref, err := distribution.ParseReference(image, s.hosts)
	if err != nil {
		return Removal{}, err
	}
	err = withLock(ctx, s.storeLock(), unix.LOCK_EX, func() error {
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
			case s.usedOf(used).image(i):
				return fault.New(ErrInUse, nil, "image %s is in use by a pod of this node; delete the pod first", i.ID)
			}
			return s.remove(i, all, &done)
		}
		return fault.New(fault.ErrNotFound, nil, "there is no image %.300q in the store", image)
	})
	return done, err
}

// remove takes an image out of the store, and out of all. The store's lock is held.
func (s *Store) remove(image Image, all map[string]remembered, done *Removal) error {
	// Whoever finds a tag has to find the image.
	for _, name := range append(slices.Clone(image.Tags), image.ID) {
		if err := s.refs.forget(name); err != nil {
			return fmt.Errorf("remove image %s: %w", image.ID, err)
		}
		delete(all, name)
	}
	done.Images, done.Tags = append(done.Images, image.ID), append(done.Tags, image.Tags...)
	if err := s.rights.forget(image.ID); err != nil {
		return fmt.Errorf("remove image %s: %w", image.ID, err)
	}
	needed := needs(all)
	for _, digest := range image.rec.content() {
		if needed[digest] {
			continue
		}
		if err := s.removeBlob(digest, done); err != nil {
			return fmt.Errorf("remove image %s: %w", image.ID, err)
		}
	}
	for _, root := range image.rec.folders() {
		if needed[root] {
			continue
		}
		if err := s.removeRoot(root, done); err != nil {
			return fmt.Errorf("remove image %s: %w", image.ID, err)
		}
	}
	return nil
}

// refuse removes an image that cannot be unpacked: what is remembered of it for that purpose, if the error is the image's own, and its
// layers, but for those that other images need, or pulls have pinned.
func (s *Store) refuse(ctx context.Context, ref distribution.Reference, rec record, why purpose, refusal error) error {
	return withLock(ctx, s.storeLock(), unix.LOCK_EX, func() error {
		all, err := s.refs.all()
		if err != nil {
			return err
		}
		var done Removal
		var errs []error
		for _, i := range imagesOf(all) {
			if i.ID == ref.At(rec.Manifest) && fault.ClassOf(refusal) != nil {
				errs = append(errs, s.forget(i, why, all, &done))
			}
		}
		needed := needs(all)
		for _, digest := range rec.made(why).Layers {
			if !needed[digest] {
				_, err := removeUnlocked(s.blobs.path(digest) + partSuffix)
				errs = append(errs, err, s.removeBlob(digest, &done))
			}
		}
		return errors.Join(errs...)
	})
}

// forget takes out of the store what an image is there for, and the image if that is all. The store's lock is held.
func (s *Store) forget(image Image, why purpose, all map[string]remembered, done *Removal) error {
	rest := image.rec.without(why)
	if !rest.whole() {
		return s.remove(image, all, done)
	}
	for _, name := range append(slices.Clone(image.Tags), image.ID) {
		rest.Reference = name
		if err := s.refs.put(rest); err != nil {
			return err
		}
		all[name] = remembered{rest, all[name].used}
	}
	return nil
}

func (s *Store) removeRoot(id string, done *Removal) error {
	freed, modules, err := s.roots.remove(id)
	done.Freed += freed
	done.Modules = append(done.Modules, modules...)
	return err
}

// needs are the digests of the blobs that records refer to, and the names of root filesystems.
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

// removeBlob removes a blob that no pull has pinned.
func (s *Store) removeBlob(digest string, done *Removal) error {
	path := s.blobs.path(digest)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	gone, err := removeUnlocked(path)
	if err != nil || !gone {
		return err
	}
	done.Freed += info.Size()
	done.Modules = append(done.Modules, digest)
	return nil
}

// usage is what containers use: images by the names that they have in the store, and local modules by their digests.
type usage struct {
	names   map[string]bool
	digests map[string]bool
}

func (s *Store) usedOf(images []string) usage {
	u := usage{map[string]bool{}, map[string]bool{}}
	for _, image := range images {
		switch ref, err := distribution.ParseReference(image, s.hosts); {
		case err != nil: // it can be nothing of the store's
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

// sweep removes blobs, parts of such and root filesystems that no image needs and nobody uses, if they are older than age. The store's
// lock is held.
func (s *Store) sweep(all map[string]remembered, used usage, age time.Duration, done *Removal) error {
	needed := needs(all)
	entries, err := os.ReadDir(s.blobs.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < age {
			continue
		}
		name, isPart := strings.CutSuffix(e.Name(), partSuffix)
		digest := "sha256:" + name
		switch {
		case isPart:
			gone, err := removeUnlocked(filepath.Join(s.blobs.dir, e.Name()))
			if gone {
				done.Freed += info.Size()
			}
			errs = append(errs, err)
		case manifest.IsDigest(digest) && !needed[digest] && !used.digests[digest]:
			errs = append(errs, s.removeBlob(digest, done))
		}
	}
	if entries, err = os.ReadDir(s.roots.dir); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) >= age && rootForm.MatchString(e.Name()) && !needed[e.Name()] {
			errs = append(errs, s.removeRoot(e.Name(), done))
		}
	}
	return errors.Join(errs...)
}
