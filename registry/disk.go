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

// disk is what a store has on disk. Methods that change the meaning of references or remove
// something need the store's lock.
type disk struct {
	dir    string
	blobs  blobs
	refs   refs
	roots  roots
	rights rights
}

// lock is the path of the store's lock.
func (d *disk) lock() string { return filepath.Join(d.dir, "lock") }

// remember records what the reference means, and keeps what is known about the same image for
// another purpose. It records the digest first and the tag last, so that a recorded tag always has
// a recorded digest. The caller holds the store's lock.
func (d *disk) remember(ref distribution.Reference, rec record) error {
	if old, err := d.refs.get(ref.At(rec.Manifest)); err == nil { // if there is none, or it is damaged, nothing is added
		rec = rec.with(old)
	}
	rec.Pulled = time.Now().UTC()
	for _, rec.Reference = range []string{ref.At(rec.Manifest), ref.Name()} {
		if err := d.refs.put(rec); err != nil {
			return fmt.Errorf("remembering %s: %w", rec.Reference, err)
		}
	}
	return nil
}

// remove removes an image from the store and from the map all. The caller holds the store's lock.
func (d *disk) remove(image Image, all map[string]remembered, done *Removal) error {
	// Tags are removed before the ID: a process that finds a tag must find the image.
	for _, name := range append(slices.Clone(image.Tags), image.ID) {
		if err := d.refs.forget(name); err != nil {
			return fmt.Errorf("removing image %s: %w", image.ID, err)
		}
		delete(all, name)
	}
	done.Images, done.Tags = append(done.Images, image.ID), append(done.Tags, image.Tags...)
	if err := d.rights.forget(image.ID); err != nil {
		return fmt.Errorf("removing image %s: %w", image.ID, err)
	}
	needed := needs(all)
	for _, digest := range image.rec.content() {
		if needed[digest] {
			continue
		}
		if err := d.removeBlob(digest, done); err != nil {
			return fmt.Errorf("removing image %s: %w", image.ID, err)
		}
	}
	for _, root := range image.rec.folders() {
		if needed[root] {
			continue
		}
		if err := d.removeRoot(root, done); err != nil {
			return fmt.Errorf("removing image %s: %w", image.ID, err)
		}
	}
	return nil
}

// refuse removes an image that cannot be unpacked. If the image itself causes the error, it removes
// the record for that purpose. It also removes the layers that no other image needs and no pull has
// pinned.
func (d *disk) refuse(ctx context.Context, ref distribution.Reference, rec record, why purpose, refusal error) error {
	return withLock(ctx, d.lock(), unix.LOCK_EX, func() error {
		all, err := d.refs.all()
		if err != nil {
			return err
		}
		var done Removal
		var errs []error
		for _, i := range imagesOf(all) {
			if i.ID == ref.At(rec.Manifest) && fault.ClassOf(refusal) != nil {
				errs = append(errs, d.forget(i, why, all, &done))
			}
		}
		needed := needs(all)
		for _, digest := range rec.made(why).Layers {
			if !needed[digest] {
				_, err := removeUnlocked(d.blobs.path(digest) + partSuffix)
				errs = append(errs, err, d.removeBlob(digest, &done))
			}
		}
		return errors.Join(errs...)
	})
}

// forget removes what an image has for a purpose, or the whole image if nothing else is left. The
// caller holds the store's lock.
func (d *disk) forget(image Image, why purpose, all map[string]remembered, done *Removal) error {
	rest := image.rec.without(why)
	if !rest.whole() {
		return d.remove(image, all, done)
	}
	for _, name := range append(slices.Clone(image.Tags), image.ID) {
		rest.Reference = name
		if err := d.refs.put(rest); err != nil {
			return err
		}
		all[name] = remembered{rest, all[name].used}
	}
	return nil
}

func (d *disk) removeRoot(id string, done *Removal) error {
	freed, modules, err := d.roots.remove(id)
	done.Freed += freed
	done.Modules = append(done.Modules, modules...)
	return err
}

// removeBlob removes a blob that no pull has pinned.
func (d *disk) removeBlob(digest string, done *Removal) error {
	path := d.blobs.path(digest)
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

// sweep removes blobs, partly fetched blobs and root filesystems if they are older than age, no
// image needs them and no container uses them. The caller holds the store's lock.
func (d *disk) sweep(all map[string]remembered, used usage, age time.Duration, done *Removal) error {
	needed := needs(all)
	entries, err := os.ReadDir(d.blobs.dir)
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
			gone, err := removeUnlocked(filepath.Join(d.blobs.dir, e.Name()))
			if gone {
				done.Freed += info.Size()
			}
			errs = append(errs, err)
		case manifest.IsDigest(digest) && !needed[digest] && !used.digests[digest]:
			errs = append(errs, d.removeBlob(digest, done))
		}
	}
	if entries, err = os.ReadDir(d.roots.dir); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) >= age && rootForm.MatchString(e.Name()) && !needed[e.Name()] {
			errs = append(errs, d.removeRoot(e.Name(), done))
		}
	}
	return errors.Join(errs...)
}
