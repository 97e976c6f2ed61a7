package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
	"github.com/krustlet-go/krustlet-wasi/registry/rootfs"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Config says where a Store keeps modules and whom it may ask for them.
type Config struct {
	// Dir is the store's folder. New makes it if it does not exist.
	Dir string
	// InsecureRegistries are the hosts, each with or without a port, for which plain HTTP is
	// allowed and certificates are not verified. This machine's loopback addresses and localhost
	// are always included.
	InsecureRegistries []string
	// AllowLocalModules allows images `fs/PATH`, which are files of the node.
	AllowLocalModules bool
	// MaxModuleSize bounds a module, in bytes; 0 means runtime.DefaultMaxModule.
	MaxModuleSize int64
	// MaxLayerSize bounds a fetched layer of a root filesystem, in bytes; 0 means 4 GiB.
	MaxLayerSize int64
	// Authorities are PEM files with certificates that are trusted for registries, in addition to
	// the system's.
	Authorities []string
	// HostsDir is a folder with one folder for each registry, which has a hosts.toml in
	// containerd's format. It is empty if there is none.
	HostsDir string
	// MaxParallelPulls is how many images may be pulled at a time; 0 means any number.
	MaxParallelPulls int
	// RightsDir is the folder that records who may use which image. Empty means the folder rights
	// in Dir. It reveals something about credentials, so users who may read modules must not be
	// able to read it.
	RightsDir string
	// Verify says who may use an image that is on disk; empty means NeverVerifyPreloadedImages.
	Verify Verification
	// Allowed are the images for NeverVerifyAllowlistedImages, as pods name them, without tags and
	// digests. `/*` at the end stands for all names with this beginning.
	Allowed []string
	// Preload means that pulled images count as preloaded: they are pulled for all pods, and not by
	// a pod.
	Preload bool
	// MaxUnpackedSize bounds a root filesystem, both the bytes of its uncompressed layers and the
	// bytes of its files; 0 means 8 GiB.
	MaxUnpackedSize int64
	// MaxFiles bounds the entries of all layers of a root filesystem together; 0 means 250,000.
	MaxFiles int64
	// UserAgent is sent to registries; empty means "krustlet-wasi".
	UserAgent string
	// Progress is called by the goroutine that fetches a blob, with the number of bytes that are
	// there. It may be nil.
	Progress func(digest string, done, size int64)
	// Log gets messages that are for the operator and not for a caller; nil logs nothing.
	Log *zap.Logger
}

const (
	defaultMaxLayer  = 4 << 30
	defaultMaxRoot   = 8 << 30
	defaultMaxFiles  = 250_000
	defaultUserAgent = "krustlet-wasi"
)

// Store keeps modules on disk. It is safe for concurrent use, by any number of processes.
type Store struct {
	*disk
	hosts      distribution.HostPolicy
	network    *distribution.Network
	allowLocal bool
	stall      time.Duration
	full       chan struct{} // has a token after a pull found the disk full
	turns      chan struct{} // holds a token for each pull that runs; nil if there is no limit
	log        *zap.Logger

	pulls   calls[Pulled] // by reference, credentials and purpose
	fetches fetches
	unpacks unpacks
	syncer  syncer
}

// New opens the store in cfg.Dir, and removes half-written or damaged files that a crash left
// there. Close closes it.
func New(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("opening module store: no folder given")
	}
	for _, limit := range []struct {
		value *int64
		def   int64
	}{
		{&cfg.MaxModuleSize, runtime.DefaultMaxModule}, {&cfg.MaxLayerSize, defaultMaxLayer},
		{&cfg.MaxUnpackedSize, defaultMaxRoot}, {&cfg.MaxFiles, defaultMaxFiles},
	} {
		if *limit.value < 0 {
			return nil, fmt.Errorf("open module store: the limit %d is negative", *limit.value)
		}
		if *limit.value == 0 {
			*limit.value = limit.def
		}
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = defaultUserAgent
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening module store: %w", err)
	}
	if cfg.RightsDir == "" {
		cfg.RightsDir = filepath.Join(dir, "rights")
	}
	cfg.Verify = cmp.Or(cfg.Verify, NeverVerifyPreloadedImages)
	if !slices.Contains(Verifications, cfg.Verify) {
		return nil, fmt.Errorf("open module store: no verification is called %q", cfg.Verify)
	}
	boot, err := readBoot()
	if err != nil {
		return nil, fmt.Errorf("opening module store: %w", err)
	}
	d := &disk{
		dir:   dir,
		blobs: blobs{dir: filepath.Join(dir, "blobs", "sha256"), maxModule: cfg.MaxModuleSize, maxLayer: cfg.MaxLayerSize, progress: cfg.Progress},
		refs:  refs{dir: filepath.Join(dir, "refs")},
		roots: roots{
			dir: filepath.Join(dir, rootsFolder), boot: boot, maxModule: cfg.MaxModuleSize,
			limits: rootfs.Limits{Bytes: cfg.MaxUnpackedSize, Entries: int(cfg.MaxFiles)},
		},
		rights: rights{dir: cfg.RightsDir, verify: cfg.Verify, allowed: cfg.Allowed, preload: cfg.Preload},
	}
	s := &Store{
		disk:       d,
		hosts:      distribution.NewHostPolicy(cfg.InsecureRegistries),
		allowLocal: cfg.AllowLocalModules,
		stall:      distribution.StallTime,
		full:       make(chan struct{}, 1),
		fetches:    fetches{blobs: d.blobs},
		unpacks:    unpacks{disk: d},
		syncer:     syncer{disk: d, log: cfg.Log, closing: make(chan struct{})},
		log:        cfg.Log,
	}
	if cfg.MaxParallelPulls > 0 {
		s.turns = make(chan struct{}, cfg.MaxParallelPulls)
	}
	if s.network, err = distribution.NewNetwork(s.hosts, cfg.Authorities, cfg.HostsDir, cfg.UserAgent); err != nil {
		return nil, fmt.Errorf("opening module store: %w", err)
	}
	for _, d := range []string{s.blobs.dir, s.refs.dir, s.roots.dir, s.rights.dir} {
		if err := clean(d); err != nil {
			return nil, fmt.Errorf("opening module store: %w", err)
		}
	}
	if err := d.recover(cfg.Log); err != nil {
		return nil, fmt.Errorf("opening module store: %w", err)
	}
	return s, nil
}

// Module is an image on this node's disk, and the module of it that runs.
type Module struct {
	// Path is the absolute path of the module's file, which must only be read. Path and Digest are
	// empty for an image with several modules that does not name the one to run; see Program.
	Path string
	// Digest is the SHA-256 of the file, `sha256:` and 64 hexadecimal digits.
	Digest string
	// Image is the reference that was asked for.
	Image string
	// ImageID is the value for a container status's imageID: REPOSITORY@DIGEST with the manifest's
	// digest, or fs/PATH@DIGEST with the module's.
	ImageID string
	// Size is the fetched size of the image, in bytes: the module, or all layers.
	Size int64
	// Component reports whether the module is a component and not a core module.
	Component bool
	// Root is the image's root filesystem; nil for an image that is one module.
	Root *Root
	// Config says how the image should run. It is nil for an image without it.
	Config *manifest.Config
}

// Lookup answers from the disk whether the image is present, without asking a registry. It unpacks
// the image unless that was done before. A reference by tag means what it meant at its last pull. A
// reference by digest is also present if a tag of the same repository was pulled that meant it. A
// local file is present if it exists; Lookup reads it.
//
// An image that was pulled with credentials is present only for a caller with the same credentials,
// or with others of the same Secret or ServiceAccount, unless Config.Verify says otherwise. keys
// are the caller's credentials. A caller with nil may use all images.
//
// Its errors are of the classes ErrInvalidReference and ErrLocalModules. For local files they may
// also be of ErrNotWasm, ErrTooLarge and ErrDigestMismatch, or a failure to read. Errors from keys
// or from unpacking are the same as for Pull. An image that cannot be unpacked is removed from the
// store.
func (s *Store) Lookup(ctx context.Context, image string, keys distribution.Keys) (m Module, present bool, err error) {
	ref, err := distribution.ParseReference(image, s.hosts)
	if err != nil {
		return Module{}, false, err
	}
	if ref.Path != "" {
		return s.local(image, ref)
	}
	return s.lookup(ctx, image, ref, keys, toRun)
}

// lookup returns the image for a purpose, if it is on disk and the owner of the keys may use it.
func (s *Store) lookup(ctx context.Context, image string, ref distribution.Reference, keys distribution.Keys, why purpose) (m Module, present bool, err error) {
	absent := func(err error) (Module, bool, error) {
		if !errors.Is(err, fs.ErrNotExist) {
			// The next pull repairs it.
			s.log.Warn("image on disk is damaged", zap.String("image", image), zap.Error(err))
		}
		return Module{}, false, nil
	}
	rec, err := s.refs.get(ref.Name())
	if err != nil {
		return absent(err)
	}
	if keys != nil {
		may, err := s.rights.may(ctx, ref.At(rec.Manifest), image, ref.Repository(), keys)
		if err != nil || !may {
			return Module{}, false, err
		}
	}
	m, made, err := s.imageOf(ctx, ref, rec, why)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errDamaged):
		return absent(err)
	case err != nil:
		if fault.ClassOf(err) != nil {
			err = errors.Join(err, s.refuse(ctx, ref, rec, why, err))
		}
		return Module{}, false, s.noteFull(err)
	case made:
		s.syncer.later(brought{roots: []string{rec.made(why).Rootfs}})
	}
	m.Image = image
	return m, true, nil
}

// imageOf returns the image of a record, for a purpose. It makes the root filesystem if that is
// needed. The error is fs.ErrNotExist if the image is not on disk, and errDamaged if the content on
// disk has changed.
func (s *Store) imageOf(ctx context.Context, ref distribution.Reference, rec record, why purpose) (m Module, made bool, err error) {
	t := rec.made(why)
	switch {
	case t != nil && why != toKeep:
		var root *Root
		if root, made, err = s.unpacks.root(ctx, *t, why, nil); err != nil {
			return Module{}, false, err
		}
		if m = (Module{Root: root}); why == toRun {
			if m, err = root.module(rec.Config); err != nil {
				return Module{}, false, err
			}
		}
	case t == nil && why != toShow && rec.Module != "":
		b, err := s.blobs.find(rec.Module, manifest.Module)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return Module{}, false, err
		case err != nil || b.size != rec.Size:
			return Module{}, false, errors.Join(errDamaged, err)
		}
		m = b.module()
	case t == nil: // the store has other parts of the image, but not this one
		return Module{}, false, fs.ErrNotExist
	}
	if m.ImageID = ref.At(rec.Manifest); t != nil {
		m.Size = t.Size
	}
	if why != toShow {
		m.Config = rec.Config
	}
	return m, made, nil
}

// Close waits until all pulled and unpacked data is synced. It must not be called while other
// methods run.
func (s *Store) Close() { s.syncer.close() }
