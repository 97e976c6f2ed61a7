package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/rootfs"
)

// plan is what an image is made of: what to fetch, and what it is for.
type plan struct {
	manifest string          // digest of what the reference names: a manifest or an index
	layers   []v1.Descriptor // to be fetched; of a root filesystem the lowest first
	kind     kind            // of all layers: one module, the tars of a root filesystem, or files
	diffIDs  []string        // of a root filesystem: what each layer is once it is unpacked
	names    []string        // of files: what each layer's is called
	purpose  purpose
	config   *ImageConfig // nil if the image has none
}

// resolve asks the registry what a reference is, and says what is to be fetched of it. What this node
// cannot run is refused here, before its layers are fetched.
func resolve(ctx context.Context, remote *session, ref reference, why purpose) (plan, error) {
	if why == toShow {
		return resolveFiles(ctx, remote, ref)
	}
	m, digest, err := findManifest(ctx, remote, ref.manifestID(), manifest.choose)
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
	c, err := fetchConfig(ctx, remote, *m.Config)
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

// findManifest fetches the manifest that id, a tag or a digest, stands for, through indexes if need be: choose says where to go on
// from one. digest is that of what id names itself.
func findManifest(ctx context.Context, remote *session, id string, choose func(manifest) (v1.Descriptor, error)) (m manifest, digest string, err error) {
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
		next, err := choose(m)
		if err != nil {
			return manifest{}, "", err
		}
		id, size = next.Digest.String(), next.Size
	}
	return manifest{}, "", fail(ErrNotWasm, nil, "found an index in an index, and so on for more than %d; name the image by its digest", maxNesting)
}

// fetchConfig fetches and reads an image's config, which is not kept: what is needed of it goes into the record.
func fetchConfig(ctx context.Context, remote *session, config v1.Descriptor) (configFile, error) {
	if err := checkLayer(config, 0); err != nil {
		return configFile{}, err
	}
	if config.Size > maxConfig {
		return configFile{}, fail(ErrTooLarge, nil, "the image's config has %d bytes; this node takes up to %d", config.Size, maxConfig)
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
	if err != nil {
		return configFile{}, err
	}
	return readConfig(data)
}

// assemble makes the image of its layers, each as soon as it is on disk, and says what is to be remembered of it.
func (s *Store) assemble(ctx context.Context, p plan, f *fetching) (record, error) {
	if p.purpose == toShow {
		return s.assembleFiles(ctx, p, f)
	}
	rec := record{Manifest: p.manifest, Config: p.config}
	if p.kind == wasmFile {
		b, err := f.await(ctx, 0)
		rec.Module, rec.Size, rec.Component = b.digest, b.size, b.component
		return rec, err
	}
	rec.Layers, rec.Size = p.content()
	rec.Rootfs = rootID(rec.Layers, p.diffIDs)
	err := s.makeRoot(ctx, rec.Rootfs, func(ctx context.Context, dir string) error {
		return s.roots.unpack(ctx, dir, s.tars(p, f), toRun)
	})
	if err != nil {
		return record{}, err
	}
	return rec, s.roots.checkModules(rec.Rootfs)
}

// content are the digests of the layers, and their size, in bytes.
func (p plan) content() (digests []string, size int64) {
	for _, l := range p.layers {
		digests = append(digests, l.Digest.String())
		size += l.Size
	}
	return digests, size
}

// tars are the layers of a root filesystem, to be unpacked.
func (s *Store) tars(p plan, f *fetching) []rootfs.Layer {
	var layers []rootfs.Layer
	for i, l := range p.layers {
		layers = append(layers, rootfs.Layer{Path: s.blobs.path(l.Digest.String()), DiffID: p.diffIDs[i], Ready: f.ready[i]})
	}
	return layers
}

// makeRoot has fill make a root filesystem, unless it is there. One pull makes what several have in common. The others do not share
// its failure, as its layers may be what it lacks.
func (s *Store) makeRoot(ctx context.Context, id string, fill func(ctx context.Context, dir string) error) error {
	done, err := s.unpacks.take(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	return s.roots.make(ctx, id, fill)
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
	if rec.Rootfs == "" && rec.Module == "" { // only its files are here
		return Module{}, fs.ErrNotExist
	}
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
