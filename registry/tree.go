package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/rootfs"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// tree is a folder of files, and the layers that it is made from. It is a root filesystem, or the
// files of another artifact. It is made when it is needed: while its layers are fetched, or later
// from the layers on disk.
type tree struct {
	Rootfs  string   `json:"rootfs,omitempty"`  // name of the folder
	Layers  []string `json:"layers,omitempty"`  // digests; for a root filesystem, the lowest first
	DiffIDs []string `json:"diffIDs,omitempty"` // for a root filesystem: the digests of the uncompressed layers
	Names   []string `json:"names,omitempty"`   // for an artifact: the file name for each layer
	Size    int64    `json:"size"`              // of all layers, as fetched, in bytes
}

func newTree(layers []v1.Descriptor, diffIDs, names []string) tree {
	t := tree{DiffIDs: diffIDs, Names: names}
	for _, l := range layers {
		t.Layers = append(t.Layers, l.Digest.String())
		t.Size += l.Size
	}
	t.Rootfs = t.id()
	return t
}

// id is the name of what the layers make. It includes the digests of the unpacked layers, so that
// an image with wrong ones is detected even if a correct image has the same layers.
func (t tree) id() string {
	become := t.DiffIDs
	for _, name := range t.Names {
		become = append(become, strconv.Quote(name)) // quoted, so that no name looks like a digest
	}
	if len(become) != len(t.Layers) {
		return ""
	}
	sum := sha256.New()
	for i, digest := range t.Layers {
		_, _ = fmt.Fprintln(sum, digest, become[i])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// unpacks are the trees that are being made.
type unpacks struct {
	*disk
	making locks // by the name of the folder
}

// root opens the folder of a tree, and makes it if it is missing or damaged. f is the tree's layers
// while they are fetched, or nil if they are on disk. made reports whether the folder was made;
// then it is not synced.
//
// One caller makes a folder that several callers need. If it fails, the others try again
// themselves, because only its own layers may be missing.
func (u *unpacks) root(ctx context.Context, t tree, why purpose, f *fetching) (root *Root, made bool, err error) {
	done, err := u.making.take(ctx, t.Rootfs)
	if err != nil {
		return nil, false, err
	}
	defer done()
	if root, err = u.roots.open(t.Rootfs); err != nil {
		made = true
		if err = u.makeRoot(ctx, t, why, f); err == nil {
			root, err = u.roots.open(t.Rootfs)
		}
	}
	if err == nil && why == toRun && len(root.modules) == 0 { // it was made for showing its files
		err = errNoModule()
	}
	return root, made, err
}

// makeRoot makes the folder of a tree. After an error nothing of it is left.
func (u *unpacks) makeRoot(ctx context.Context, t tree, why purpose, f *fetching) (err error) {
	if t.Rootfs != t.id() { // an earlier version did not record the layers
		return errDamaged
	}
	if f == nil {
		if f, err = u.fetched(ctx, t); err != nil {
			return err
		}
		defer f.release()
	}
	tmp, unlock, err := u.roots.temp()
	if err != nil {
		return err
	}
	defer unlock()
	defer func() {
		if err != nil {
			err = errors.Join(err, filetree.Remove(context.WithoutCancel(ctx), tmp))
		}
	}()
	if len(t.Names) > 0 {
		err = u.copyFiles(ctx, tmp, t, f)
	} else {
		err = u.roots.unpack(ctx, tmp, u.tars(t, f), why)
	}
	if err != nil {
		return err
	}
	if err := u.roots.mark(tmp); err != nil {
		return err
	}
	useless := tmp
	err = withLock(ctx, u.lock(), unix.LOCK_EX, func() error {
		if _, err := u.roots.open(t.Rootfs); err == nil {
			return nil // another process has made it in the meantime
		}
		useless = tmp + "-damaged"
		if err := os.Rename(u.roots.path(t.Rootfs), useless); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return os.Rename(tmp, u.roots.path(t.Rootfs))
	})
	return errors.Join(err, filetree.Remove(context.WithoutCancel(ctx), useless))
}

// fetched returns the layers of a tree on disk. None is removed before they are released. The error
// is fs.ErrNotExist if a layer is missing.
func (d *disk) fetched(ctx context.Context, t tree) (*fetching, error) {
	f := newFetching(len(t.Layers))
	for i, digest := range t.Layers {
		var err error
		if f.pins[i], err = d.blobs.pin(ctx, digest); err != nil {
			f.release()
			return nil, err
		}
		close(f.ready[i])
	}
	return f, nil
}

// tars are the layers of a root filesystem, ready for unpacking.
func (d *disk) tars(t tree, f *fetching) []rootfs.Layer {
	var layers []rootfs.Layer
	for i, digest := range t.Layers {
		layers = append(layers, rootfs.Layer{Path: d.blobs.path(digest), DiffID: t.DiffIDs[i], Ready: f.ready[i]})
	}
	return layers
}

// copyFiles makes the content of dir for an artifact whose layers are files. It copies them,
// because a shown file could be changed, and other images trust the layers.
func (d *disk) copyFiles(ctx context.Context, dir string, t tree, f *fetching) error {
	if t.Size > d.roots.limits.Bytes {
		return fault.New(fault.ErrTooLarge, nil, "the image's files have %d bytes; this node takes up to %d", t.Size, d.roots.limits.Bytes)
	}
	files := filepath.Join(dir, treeFolder)
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	for i, name := range t.Names {
		select {
		case <-f.ready[i]:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := copyFile(d.blobs.path(t.Layers[i]), filepath.Join(files, name)); err != nil {
			return fmt.Errorf("placing the image's files: %w", err)
		}
	}
	return d.roots.index(dir, nil)
}
