package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// Pulled is a module that was requested from a registry.
type Pulled struct {
	Module
	// Took is the duration of the pull, without the time spent waiting for other pulls.
	Took time.Duration
}

// Pull asks the registry what the image is now, fetches the parts that are not on disk, and records
// what the reference means and who may use it. It does not unpack an image with a root filesystem.
// For such an image it sets only the fields Image, ImageID, Size and Config of the Module. keys are
// the credentials for the registry; they may be nil. A local file is treated as by Lookup.
//
// Pull blocks until the image is pulled or ctx ends. If ctx ends, the error is ctx's. Errors may be
// of any class. After an error the store is the same as before, except that it keeps the part of a
// blob that arrived before a transfer broke off.
func (s *Store) Pull(ctx context.Context, image string, keys distribution.Keys) (Pulled, error) {
	return s.pullModule(ctx, image, keys, toKeep)
}

// PullToRun is Pull, and also unpacks the image at the same time. If an image cannot be unpacked,
// the pull fails and nothing of the image is left.
func (s *Store) PullToRun(ctx context.Context, image string, keys distribution.Keys) (Pulled, error) {
	return s.pullModule(ctx, image, keys, toRun)
}

func (s *Store) pullModule(ctx context.Context, image string, keys distribution.Keys, why purpose) (Pulled, error) {
	ref, err := distribution.ParseReference(image, s.hosts)
	if err != nil {
		return Pulled{}, err
	}
	if ref.Path != "" {
		m, present, err := s.local(image, ref)
		if err == nil && !present {
			err = fault.New(fault.ErrNotFound, nil, "local module: no file %s (fs/PATH is relative to the agent's working directory, fs//PATH is absolute)", ref.Path)
		}
		return Pulled{Module: m}, err
	}
	return s.pullShared(ctx, image, ref, keys, why)
}

// pullShared is one call that may share a pull with others.
func (s *Store) pullShared(ctx context.Context, image string, ref distribution.Reference, keys distribution.Keys, why purpose) (Pulled, error) {
	remote, err := s.network.Open(ctx, ref.Repo, keys, s.stall)
	if err != nil {
		return Pulled{}, err
	}
	call := fmt.Sprintln(ref.Name(), remote.Identity(), why)
	m, err := s.pulls.do(ctx, call, func(ctx context.Context) (Pulled, error) {
		return s.pullInTurn(ctx, ref, remote, why)
	})
	if err != nil {
		return Pulled{}, s.noteFull(err)
	}
	m.Image = image
	return m, nil
}

// noteFull gives an error its class if a full disk is the cause. It also asks the collector to free
// space.
func (s *Store) noteFull(err error) error {
	err = fault.DiskFull(s.dir, err)
	if errors.Is(err, fault.ErrDiskFull) {
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
	return err
}

// pullInTurn waits until the limit of parallel pulls allows this pull.
func (s *Store) pullInTurn(ctx context.Context, ref distribution.Reference, remote *distribution.Repository, why purpose) (Pulled, error) {
	if s.turns != nil {
		select {
		case s.turns <- struct{}{}:
		case <-ctx.Done():
			return Pulled{}, ctx.Err()
		}
		defer func() { <-s.turns }()
	}
	begin := time.Now()
	m, err := s.pull(ctx, ref, remote, why)
	took := time.Since(begin)
	if err == nil {
		s.log.Debug("pulled", zap.String("image", ref.Name()), zap.String("id", m.ImageID),
			zap.Int64("size", m.Size), zap.Duration("took", took))
	}
	return Pulled{Module: m, Took: took}, err
}

// pull is one shared pull.
func (s *Store) pull(ctx context.Context, ref distribution.Reference, remote *distribution.Repository, why purpose) (Module, error) {
	p, err := resolve(ctx, remote, ref, why)
	if err != nil {
		return Module{}, err
	}
	layers, made, err := s.obtain(ctx, ref, remote, p, why)
	if err != nil {
		return Module{}, err
	}
	defer layers.release()
	fresh := brought{blobs: layers.unsynced()}
	if old, err := s.refs.get(ref.Name()); err == nil && old.Manifest != p.image.Manifest {
		// A crash must not lose the new meaning of a reference after the old one was replaced.
		if err := s.sync(fresh); err != nil {
			return Module{}, fmt.Errorf("syncing what %s has come to mean: %w", ref.Name(), err)
		}
		fresh = brought{}
	}
	fresh.records = []string{s.refs.path(ref.At(p.image.Manifest)), s.refs.path(ref.Name())}
	if made {
		fresh.roots = []string{p.image.made(why).Rootfs}
	}
	defer s.syncer.later(fresh)
	if p.kind == manifest.Module {
		p.image.Component = layers.blobs[0].component
	}
	// The right must be recorded before another pod can find the image.
	if err := s.rights.grant(ref.At(p.image.Manifest), remote.Credential()); err != nil {
		return Module{}, fmt.Errorf("remembering who may have %s: %w", ref.Name(), err)
	}
	how := unix.LOCK_SH
	if why == toShow {
		how = unix.LOCK_EX // so that no other pull adds to the same record at the same time
	}
	if err := withLock(ctx, s.lock(), how, func() error { return s.remember(ref, p.image) }); err != nil {
		return Module{}, err
	}
	// A root filesystem that was on disk already may have been removed in between, with the image
	// that had it.
	m, _, err := s.imageOf(ctx, ref, p.image, why)
	return m, err
}

// obtain fetches an image's layers. If the purpose needs it, it also unpacks each layer as soon as
// this layer and those below it are on disk. No layer is removed before they are released.
func (s *Store) obtain(ctx context.Context, ref distribution.Reference, remote *distribution.Repository, p plan, why purpose) (layers *fetching, made bool, err error) {
	layers = newFetching(len(p.layers))
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error { return s.fetches.all(both, remote, ref, p, layers) })
	var refusal error
	if t := p.image.made(why); t != nil && why != toKeep {
		group.Go(func() (err error) {
			if _, made, err = s.unpacks.root(both, *t, why, layers); both.Err() == nil {
				refusal = err
			}
			return err
		})
	}
	if err = group.Wait(); err == nil {
		return layers, made, nil
	}
	layers.release()
	if refusal != nil {
		err = errors.Join(err, s.refuse(ctx, ref, p.image, why, refusal))
	}
	return nil, false, err
}
