package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// plan is what must be fetched for an image, and what will be recorded.
type plan struct {
	layers []v1.Descriptor // for a root filesystem, the lowest first
	kind   manifest.Kind   // of all layers: one module, the tars of a root filesystem, or files
	image  record          // without its references, its time, and whether it is a component
}

// resolve asks the registry what a reference means, and returns what to fetch. It refuses an image
// that this node cannot run before its layers are fetched.
func resolve(ctx context.Context, remote *distribution.Repository, ref distribution.Reference, why purpose) (plan, error) {
	if why == toShow {
		return resolveFiles(ctx, remote, ref)
	}
	m, digest, err := findManifest(ctx, remote, ref.ManifestID(), manifest.Manifest.Choose)
	if err != nil {
		return plan{}, err
	}
	p := plan{image: record{Manifest: digest}} // for an index, the digest of the index
	if p.layers, p.kind, err = m.Content(); err != nil {
		return plan{}, err
	}
	if p.kind == manifest.Module {
		p.image.Module, p.image.Size = p.layers[0].Digest.String(), p.layers[0].Size
	}
	if !m.HasImageConfig() {
		return p, nil
	}
	c, err := fetchConfig(ctx, remote, *m.Config)
	if err != nil {
		return plan{}, err
	}
	if p.kind == manifest.Layer {
		if err := m.CheckRootfs(c); err != nil {
			return plan{}, err
		}
		p.image.tree = newTree(p.layers, c.RootFS.DiffIDs, nil)
	}
	run := c.Run()
	p.image.Config = &run
	return p, nil
}

// findManifest fetches the manifest that id, a tag or a digest, names. If that is an index, choose
// selects the next manifest. digest is the digest of the first manifest or index, which id itself
// names.
func findManifest(ctx context.Context, remote *distribution.Repository, id string, choose func(manifest.Manifest) (v1.Descriptor, error)) (m manifest.Manifest, digest string, err error) {
	size := int64(-1) // -1: any size
	for range manifest.MaxNesting + 1 {
		data, own, contentType, err := remote.Manifest(ctx, id)
		if err != nil {
			return manifest.Manifest{}, "", err
		}
		if digest == "" {
			digest = own
		}
		if size >= 0 && size != int64(len(data)) {
			return manifest.Manifest{}, "", fault.New(fault.ErrDigestMismatch, nil, "manifest %s has %d bytes; the index says %d", id, len(data), size)
		}
		m, err := manifest.Read(contentType, data)
		if err != nil || !m.IsIndex() {
			return m, digest, err
		}
		next, err := choose(m)
		if err != nil {
			return manifest.Manifest{}, "", err
		}
		id, size = next.Digest.String(), next.Size
	}
	return manifest.Manifest{}, "", fault.New(fault.ErrNotWasm, nil, "found an index in an index, and so on for more than %d; name the image by its digest", manifest.MaxNesting)
}

// fetchConfig fetches and reads an image's config. The config is not stored; the record gets the
// parts that are needed.
func fetchConfig(ctx context.Context, remote *distribution.Repository, config v1.Descriptor) (manifest.ConfigFile, error) {
	if err := manifest.CheckLayer(config, 0); err != nil {
		return manifest.ConfigFile{}, err
	}
	if config.Size > manifest.MaxConfig {
		return manifest.ConfigFile{}, fault.New(fault.ErrTooLarge, nil, "the image's config has %d bytes; this node takes up to %d", config.Size, manifest.MaxConfig)
	}
	var data []byte
	err := remote.Blob(ctx, config, func(r io.Reader) (err error) {
		if data, err = io.ReadAll(io.LimitReader(r, config.Size+1)); err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		if got := "sha256:" + hex.EncodeToString(sum[:]); got != config.Digest.String() || int64(len(data)) != config.Size {
			return fault.New(fault.ErrDigestMismatch, nil, "the image's config %s came with %d bytes and the digest %s; the manifest says %d bytes", config.Digest, len(data), got, config.Size)
		}
		return nil
	})
	if err != nil {
		return manifest.ConfigFile{}, err
	}
	return manifest.ReadConfig(data)
}
