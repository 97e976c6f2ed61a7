package registry

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// plan is what an image is made of: what to fetch, and what it is for.
type plan struct {
	manifest string          // digest of what the reference names: a manifest or an index
	layers   []v1.Descriptor // to be fetched; of a root filesystem the lowest first
	kind     kind            // of all layers: one module, or the tars of a root filesystem
}

// resolve asks the registry what id, a tag or a digest, is, and says what is to be fetched of it. What this node
// cannot run is refused here, before its layers are fetched.
func resolve(ctx context.Context, remote *session, id string) (plan, error) {
	data, digest, contentType, err := remote.manifest(ctx, id)
	if err != nil {
		return plan{}, err
	}
	layer, err := moduleLayer(contentType, data)
	if err != nil {
		return plan{}, err
	}
	return plan{manifest: digest, layers: []v1.Descriptor{layer}, kind: wasmFile}, nil
}

// assemble makes the image of its layers, which are on disk, and says what is to be remembered of it.
func (s *Store) assemble(_ context.Context, p plan, layers []blob) (record, error) {
	b := layers[0]
	return record{Manifest: p.manifest, Module: b.digest, Size: b.size, Component: b.component}, nil
}

// moduleOf is the module of a reference of which rec is remembered. It is an error if it is not on disk as it was.
func (s *Store) moduleOf(ref reference, rec record) (Module, error) {
	b, err := s.blobs.find(rec.Module, wasmFile)
	if err != nil {
		return Module{}, err
	}
	if b.size != rec.Size {
		return Module{}, errDamaged
	}
	m := b.module()
	m.ImageID = ref.at(rec.Manifest)
	return m, nil
}
