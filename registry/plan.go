package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/rootfs"
)

// plan is what an image is made of: what to fetch, and what it is for.
type plan struct {
	manifest string          // digest of what the reference names: a manifest or an index
	layers   []v1.Descriptor // to be fetched; of a root filesystem the lowest first
	kind     kind            // of all layers: one module, or the tars of a root filesystem
	diffIDs  []string        // of a root filesystem: what each layer is once it is unpacked
	config   *ImageConfig    // nil if the image has none
}

// resolve asks the registry what id, a tag or a digest, is, and says what is to be fetched of it. What this node
// cannot run is refused here, before its layers are fetched.
func resolve(ctx context.Context, remote *session, id string) (plan, error) {
	m, digest, err := findManifest(ctx, remote, id)
	if err != nil {
		return plan{}, err
	}
	p := plan{manifest: digest}
	if p.layers, p.kind, err = m.content(); err != nil {
		return plan{}, err
	}
	if !m.hasImageConfig() {
		return p, nil
	}
	data, err := fetchConfig(ctx, remote, *m.Config)
	if err != nil {
		return plan{}, err
	}
	c, err := readConfig(data)
	if err != nil {
		return plan{}, err
	}
	if p.kind == tarLayer {
		if err := m.checkRootfs(c); err != nil {
			return plan{}, err
		}
		p.diffIDs = c.RootFS.DiffIDs
	}
	run := c.run()
	p.config = &run
	return p, nil
}

// findManifest fetches the manifest that id stands for, through indexes if need be. digest is that of what id names itself.
func findManifest(ctx context.Context, remote *session, id string) (m manifest, digest string, err error) {
	size := int64(-1) // any
	for range maxNesting + 1 {
		data, own, contentType, err := remote.manifest(ctx, id)
		if err != nil {
			return manifest{}, "", err
		}
		if digest == "" {
			digest = own
		}
		if size >= 0 && size != int64(len(data)) {
			return manifest{}, "", fail(ErrDigestMismatch, nil, "manifest %s has %d bytes; the index says %d", id, len(data), size)
		}
		m, err := readManifest(contentType, data)
		if err != nil || !m.isIndex() {
			return m, digest, err
		}
		next, err := m.choose()
		if err != nil {
			return manifest{}, "", err
		}
		id, size = next.Digest.String(), next.Size
	}
	return manifest{}, "", fail(ErrNotWasm, nil, "found an index in an index, and so on for more than %d; name the image by its digest", maxNesting)
}

// fetchConfig fetches an image's config, which is not kept: what is needed of it goes into the record.
func fetchConfig(ctx context.Context, remote *session, config v1.Descriptor) ([]byte, error) {
	if err := checkLayer(config, 0); err != nil {
		return nil, err
	}
	if config.Size > maxConfig {
		return nil, fail(ErrTooLarge, nil, "the image's config has %d bytes; this node takes up to %d", config.Size, maxConfig)
	}
	var data []byte
	err := remote.blob(ctx, config, func(r io.Reader) (err error) {
		if data, err = io.ReadAll(io.LimitReader(r, config.Size+1)); err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		if got := "sha256:" + hex.EncodeToString(sum[:]); got != config.Digest.String() || int64(len(data)) != config.Size {
			return fail(ErrDigestMismatch, nil, "the image's config %s came with %d bytes and the digest %s; the manifest says %d bytes", config.Digest, len(data), got, config.Size)
		}
		return nil
	})
	return data, err
}

// assemble makes the image of its layers, each as soon as it is on disk, and says what is to be remembered of it.
func (s *Store) assemble(ctx context.Context, p plan, f *fetching) (record, error) {
	rec := record{Manifest: p.manifest, Config: p.config}
	if p.kind == wasmFile {
		b, err := f.first(ctx)
		rec.Module, rec.Size, rec.Component = b.digest, b.size, b.component
		return rec, err
	}
	var layers []rootfs.Layer
	for i, l := range p.layers {
		digest := l.Digest.String()
		rec.Layers = append(rec.Layers, digest)
		rec.Size += l.Size
		layers = append(layers, rootfs.Layer{Path: s.blobs.path(digest), DiffID: p.diffIDs[i], Ready: f.ready[i]})
	}
	rec.Rootfs = rootID(rec.Layers, p.diffIDs)
	// One pull unpacks what several have in common. The others do not share its failure, as its layers may be what it lacks.
	done, err := s.unpacks.take(ctx, rec.Rootfs)
	if err != nil {
		return record{}, err
	}
	defer done()
	return rec, s.roots.make(ctx, rec.Rootfs, layers)
}

// discard removes the layers of an image that is refused, and what there is of them, but for those that other images need, or pulls
// have pinned.
func (s *Store) discard(ctx context.Context, p plan) error {
	return withLock(ctx, s.storeLock(), unix.LOCK_EX, func() error {
		all, err := s.refs.all()
		if err != nil {
			return err
		}
		needed := needs(all)
		var done Removal
		var errs []error
		for _, l := range p.layers {
			digest := l.Digest.String()
			if !needed[digest] {
				_, err := removeUnlocked(s.blobs.path(digest) + partSuffix)
				errs = append(errs, err, s.removeBlob(digest, &done))
			}
		}
		return errors.Join(errs...)
	})
}

// moduleOf is the module of a reference of which rec is remembered. It is an error if it is not on disk as it was.
func (s *Store) moduleOf(ref reference, rec record) (m Module, err error) {
	if rec.Rootfs == "" {
		b, err := s.blobs.find(rec.Module, wasmFile)
		if err != nil {
			return Module{}, err
		}
		if b.size != rec.Size {
			return Module{}, errDamaged
		}
		m = b.module()
	} else if m, err = s.roots.module(rec); err != nil {
		return Module{}, err
	}
	m.ImageID, m.Config = ref.at(rec.Manifest), rec.Config
	return m, nil
}
