package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// plan is what an image is made of: what to fetch, and what will be remembered.
type plan struct {
	layers []v1.Descriptor // of a root filesystem the lowest first
	kind   kind            // of all layers: one module, the tars of a root filesystem, or files
	image  record          // but for its references and time, and whether it is a component
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
	p := plan{image: record{Manifest: digest}} // of an index, its own
	if p.layers, p.kind, err = m.content(); err != nil {
		return plan{}, err
	}
	if p.kind == wasmFile {
		p.image.Module, p.image.Size = p.layers[0].Digest.String(), p.layers[0].Size
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
		p.image.tree = newTree(p.layers, c.RootFS.DiffIDs, nil)
	}
	run := c.run()
	p.image.Config = &run
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
