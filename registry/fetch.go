package registry

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// parallelLayers is how many layers of one image are fetched at a time. With more, the first layer
// would arrive later, and its unpacking would start later.
const parallelLayers = 3

// fetches are the layers that are being fetched.
type fetches struct {
	blobs   blobs
	running calls[blob] // by repository and layer
}

// fetching is the layers of one image while they are fetched.
type fetching struct {
	blobs []blob
	pins  []func()
	ready []chan struct{} // closed when the layer is on disk
}

func newFetching(n int) *fetching {
	f := &fetching{blobs: make([]blob, n), pins: make([]func(), n), ready: make([]chan struct{}, n)}
	for i := range f.ready {
		f.ready[i] = make(chan struct{})
	}
	return f
}

// release allows the removal of the layers. It may be called twice, but only after fetches.all has
// returned.
func (f *fetching) release() {
	for _, unpin := range f.pins {
		if unpin != nil {
			unpin()
		}
	}
}

// unsynced are the layers that are not synced. All layers must be on disk.
func (f *fetching) unsynced() []blob {
	return slices.DeleteFunc(slices.Clone(f.blobs), func(b blob) bool { return b.synced })
}

// all brings the plan's layers to the disk, in order, but several at a time. None is removed before
// they are released.
func (s *fetches) all(ctx context.Context, remote *distribution.Repository, ref distribution.Reference, p plan, f *fetching) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelLayers)
	for i, layer := range p.layers {
		group.Go(func() (err error) {
			f.blobs[i], f.pins[i], err = s.pinned(ctx, remote, ref, layer, p.kind)
			if err == nil {
				close(f.ready[i])
			}
			return err
		})
	}
	return group.Wait()
}

// pinned fetches a layer and pins it. It starts again if the layer is removed in between, together
// with an image that had it.
func (s *fetches) pinned(ctx context.Context, remote *distribution.Repository, ref distribution.Reference, layer v1.Descriptor, kind manifest.Kind) (blob, func(), error) {
	for {
		b, err := s.running.do(ctx, kind.String()+" "+ref.At(layer.Digest.String()), func(ctx context.Context) (blob, error) {
			return s.fetch(ctx, remote, layer, kind)
		})
		if err != nil {
			return blob{}, nil, err
		}
		release, err := s.blobs.pin(ctx, b.digest)
		if !errors.Is(err, fs.ErrNotExist) {
			return b, release, err
		}
	}
}

// fetch returns the layer's blob from the disk, or else from the registry. If the size of the blob
// on disk differs from the manifest's, it is fetched again, so that a wrong manifest is detected.
func (s *fetches) fetch(ctx context.Context, remote *distribution.Repository, layer v1.Descriptor, kind manifest.Kind) (blob, error) {
	want := expected{digest: layer.Digest.String(), size: layer.Size, kind: kind}
	if limit := s.blobs.limit(kind); layer.Size > limit {
		return blob{}, tooLarge(kind, layer.Size, limit)
	}
	if b, err := s.blobs.find(want.digest, kind); err == nil && b.size == want.size {
		return b, nil
	}
	p, err := s.blobs.part(ctx, want)
	if err != nil {
		return blob{}, err
	}
	// Another process may have fetched it in the meantime.
	if b, err := s.blobs.find(want.digest, kind); err == nil && b.size == want.size {
		p.leave(nil)
		return b, nil
	}
	if err := fill(ctx, remote, layer, p); err != nil {
		p.leave(err)
		return blob{}, err
	}
	return p.finish()
}

// fill fetches the rest of a part.
func fill(ctx context.Context, remote *distribution.Repository, layer v1.Descriptor, p *part) error {
	old := p.have > 0
	if p.have == p.want.size && p.check() == nil {
		return nil
	}
	err := remote.Stream(ctx, layer, p)
	if old && errors.Is(err, fault.ErrDigestMismatch) {
		// The part's old content may be the wrong one.
		if err := p.Restart(); err != nil {
			return err
		}
		err = remote.Stream(ctx, layer, p)
	}
	return err
}
