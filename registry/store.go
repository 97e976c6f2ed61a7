package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/rootfs"
)

// Config says where a Store keeps modules and whom it may ask for them.
type Config struct {
	// Dir is the store's folder; it is made if it is not there.
	Dir string
	// InsecureRegistries are the hosts, each with or without a port, with which plain HTTP may be spoken and
	// whose certificates are not verified. This machine's loopback addresses and localhost always are.
	InsecureRegistries []string
	// AllowLocalModules allows images `fs/PATH`, files of the node.
	AllowLocalModules bool
	// MaxModuleSize bounds a module, in bytes; 0 means 1 GiB.
	MaxModuleSize int64
	// MaxLayerSize bounds a layer of a root filesystem as it is fetched, in bytes; 0 means 4 GiB.
	MaxLayerSize int64
	// Authorities are files with certificates, in PEM, that registries are trusted by beside the system's.
	Authorities []string
	// HostsDir is a folder with one folder for each registry, which has a hosts.toml as containerd's; empty: there is none.
	HostsDir string
	// MaxParallelPulls is how many images may be pulled at a time; 0 means any number.
	MaxParallelPulls int
	// RightsDir is the folder where it is kept who may have which image; empty means the folder rights in Dir. It tells
	// something of credentials, and so is not for those who may read modules.
	RightsDir string
	// MaxUnpackedSize bounds a root filesystem, in bytes of its layers unpacked and of its files; 0 means 8 GiB.
	MaxUnpackedSize int64
	// MaxFiles bounds the entries of all layers of a root filesystem together; 0 means 250,000.
	MaxFiles int64
	// UserAgent is what registries are told; empty means "krustlet-wasi".
	UserAgent string
	// Progress is told how much there is of a blob that is being fetched, by the goroutines that fetch; nil: nobody is.
	Progress func(digest string, done, size int64)
	// Log takes what concerns the operator and no caller; nil logs nothing.
	Log *zap.Logger
}

const (
	defaultMaxModule = 1 << 30
	defaultMaxLayer  = 4 << 30
	defaultMaxRoot   = 8 << 30
	defaultMaxFiles  = 250_000
	defaultUserAgent = "krustlet-wasi"
	// stallTime is how long a transfer may give nothing before it is given up. The kubelet's own
	// deadline for the progress of a pull is the same.
	stallTime = time.Minute
)

// Store keeps modules on disk. It is safe for concurrent use, by any number of processes.
type Store struct {
	dir        string
	hosts      hostPolicy
	network    *network
	allowLocal bool
	stall      time.Duration
	blobs      blobs
	refs       refs
	roots      roots
	rights     rights
	full       chan struct{} // has a token when a pull found the disk full
	turns      chan struct{} // holds a token per pull that goes on; nil: there is no bound
	log        *zap.Logger

	pulls   calls[Pulled] // by reference and credentials
	fetches calls[blob]   // by repository and layer
	unpacks locks         // by root filesystem

	syncing sync.WaitGroup // root filesystems
}

// New opens the store in cfg.Dir, and removes what a crash left half-written there. Close closes it.
func New(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("open module store: no folder given")
	}
	for _, limit := range []struct {
		value *int64
		def   int64
	}{
		{&cfg.MaxModuleSize, defaultMaxModule}, {&cfg.MaxLayerSize, defaultMaxLayer},
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
		return nil, fmt.Errorf("open module store: %w", err)
	}
	if cfg.RightsDir == "" {
		cfg.RightsDir = filepath.Join(dir, "rights")
	}
	boot, err := readBoot()
	if err != nil {
		return nil, fmt.Errorf("open module store: %w", err)
	}
	s := &Store{
		dir:        dir,
		hosts:      newHostPolicy(cfg.InsecureRegistries),
		allowLocal: cfg.AllowLocalModules,
		stall:      stallTime,
		blobs:      blobs{dir: filepath.Join(dir, "blobs", "sha256"), maxModule: cfg.MaxModuleSize, maxLayer: cfg.MaxLayerSize, progress: cfg.Progress},
		refs:       refs{dir: filepath.Join(dir, "refs")},
		roots: roots{
			dir: filepath.Join(dir, rootsFolder), boot: boot, maxModule: cfg.MaxModuleSize,
			limits: rootfs.Limits{Bytes: cfg.MaxUnpackedSize, Entries: int(cfg.MaxFiles)},
		},
		rights: rights{dir: cfg.RightsDir},
		full:   make(chan struct{}, 1),
		log:    cfg.Log,
	}
	if cfg.MaxParallelPulls > 0 {
		s.turns = make(chan struct{}, cfg.MaxParallelPulls)
	}
	if s.network, err = newNetwork(s.hosts, cfg.Authorities, cfg.HostsDir, cfg.UserAgent); err != nil {
		return nil, fmt.Errorf("open module store: %w", err)
	}
	for _, d := range []string{s.blobs.dir, s.refs.dir, s.roots.dir, s.rights.dir} {
		if err := clean(d); err != nil {
			return nil, fmt.Errorf("open module store: %w", err)
		}
	}
	if err := s.syncLeft(); err != nil {
		return nil, fmt.Errorf("open module store: %w", err)
	}
	return s, nil
}

// Module is an image on this node's disk, and the module in it that runs.
type Module struct {
	// Path is the file with the module's bytes: absolute, and to be read only. It and Digest are empty for an image with
	// several modules that does not say which is to run; see Program.
	Path string
	// Digest is the SHA-256 of those bytes, `sha256:` and 64 hexadecimal digits.
	Digest string
	// Image is the reference as it was asked for.
	Image string
	// ImageID is what goes into a container status's imageID: REPOSITORY@DIGEST with the manifest's digest,
	// or fs/PATH@DIGEST with the module's.
	ImageID string
	// Size is the image's, as it was fetched, in bytes: that of the module, or of all layers.
	Size int64
	// Component tells that it is a component, not a core module.
	Component bool
	// Root is the image's root filesystem; nil for an image that is one module.
	Root *Root
	// Config is how the image wants to be run; nil for one that does not say.
	Config *ImageConfig
}

// Lookup answers from the disk whether the image is present, without a word to a registry. A reference by tag
// means what it meant when it was last pulled; one by digest is present too if a tag was pulled from
// the same repository that meant it. A local file is present if it is there, and is read.
//
// An image that was pulled with somebody's credentials is present for those alone who have the same, or such of the same Secret
// or ServiceAccount; keys are whose Lookup it is, and nil those of who may have everything.
//
// Its errors are of the classes ErrInvalidReference and ErrLocalModules; for local files also ErrNotWasm,
// ErrTooLarge, ErrDigestMismatch, or a failure to read them; or they come from keys.
func (s *Store) Lookup(ctx context.Context, image string, keys Keys) (m Module, present bool, err error) {
	ref, err := parseReference(image, s.hosts)
	if err != nil {
		return Module{}, false, err
	}
	if ref.path != "" {
		return s.local(image, ref)
	}
	return s.lookup(ctx, image, ref, keys, s.moduleOf)
}

// lookup is what of says that the image is, if that is on disk and whoever has the keys may have it.
func (s *Store) lookup(ctx context.Context, image string, ref reference, keys Keys, of func(reference, record) (Module, error)) (m Module, present bool, err error) {
	rec, err := s.refs.get(ref.name())
	if err == nil {
		m, err = of(ref, rec)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			// Pulling again mends it.
			s.log.Warn("image on disk is damaged", zap.String("image", image), zap.Error(err))
		}
		return Module{}, false, nil
	}
	m.Image = image
	if keys != nil {
		may, err := s.rights.may(ctx, m.ImageID, ref.repository(), keys)
		if err != nil || !may {
			return Module{}, false, err
		}
	}
	return m, true, nil
}

// Pulled is a module that was asked for at a registry.
type Pulled struct {
	Module
	// Took is how long that took, without the time in which other pulls had to be waited for.
	Took time.Duration
}

// Pull asks the registry what the image is now, fetches the module unless it is on disk, and remembers what the
// reference means and for whom. keys are shown to the registry; they may be nil. A local file is taken as by Lookup.
//
// Pull blocks until it is done or ctx ends, in which case the error is ctx's. Any of the Err classes may come; after an error
// the store is as it was before, but for what came of a module before a transfer broke off.
func (s *Store) Pull(ctx context.Context, image string, keys Keys) (Pulled, error) {
	ref, err := parseReference(image, s.hosts)
	if err != nil {
		return Pulled{}, err
	}
	if ref.path != "" {
		m, present, err := s.local(image, ref)
		if err == nil && !present {
			err = fail(ErrNotFound, nil, "local module: no file %s (fs/PATH is relative to the agent's working directory, fs//PATH is absolute)", ref.path)
		}
		return Pulled{Module: m}, err
	}
	return s.pullShared(ctx, image, ref, keys, toRun)
}

// pullShared is one call that may share a pull with others.
func (s *Store) pullShared(ctx context.Context, image string, ref reference, keys Keys, why purpose) (Pulled, error) {
	remote, err := s.network.open(ctx, ref.repo, keys, s.stall)
	if err != nil {
		return Pulled{}, err
	}
	call := ref.name() + " " + remote.identity()
	if why == toShow {
		call = "files " + call
	}
	m, err := s.pulls.do(ctx, call, func(ctx context.Context) (Pulled, error) {
		return s.pullInTurn(ctx, ref, remote, why)
	})
	m.Image = image
	if err = diskFull(s.dir, err); err != nil {
		if errors.Is(err, ErrDiskFull) {
			select {
			case s.full <- struct{}{}:
			default:
			}
		}
		return Pulled{}, err
	}
	return m, nil
}

// pullInTurn waits until another pull may go on.
func (s *Store) pullInTurn(ctx context.Context, ref reference, remote *session, why purpose) (Pulled, error) {
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
		s.log.Debug("pulled", zap.String("image", ref.name()), zap.String("id", m.ImageID),
			zap.Int64("size", m.Size), zap.Duration("took", took))
	}
	return Pulled{Module: m, Took: took}, err
}

// pull is one shared pull.
func (s *Store) pull(ctx context.Context, ref reference, remote *session, why purpose) (Module, error) {
	p, err := resolve(ctx, remote, ref, why)
	if err != nil {
		return Module{}, err
	}
	rec, release, err := s.obtain(ctx, ref, remote, p)
	if err != nil {
		return Module{}, err
	}
	defer release()
	for _, root := range rec.folders() { // there is one at most
		// Not before what follows: it would wait for all that is being written.
		defer s.syncLater(root)
	}
	// Before anybody can find it.
	if err := s.rights.grant(ref.at(p.manifest), remote.credential()); err != nil {
		return Module{}, fmt.Errorf("remember who may have %s: %w", ref.name(), err)
	}
	how := unix.LOCK_SH
	if why == toShow {
		how = unix.LOCK_EX // nobody adds to the same record meanwhile
	}
	if err := withLock(ctx, s.storeLock(), how, func() error { return s.remember(ref, rec) }); err != nil {
		return Module{}, err
	}
	if why == toShow {
		return s.filesOf(ref, rec)
	}
	return s.moduleOf(ref, rec)
}

// obtain fetches an image's layers and assembles the image, beside each other. Nothing of it is removed before release is called.
func (s *Store) obtain(ctx context.Context, ref reference, remote *session, p plan) (rec record, release func(), err error) {
	layers := newFetching(len(p.layers))
	unpin, refused := func() {}, false
	release = func() { layers.release(); unpin() }
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error { return s.fetchAll(both, remote, ref, p, layers) })
	group.Go(func() (err error) {
		rec, unpin, err = s.assemblePinned(both, p, layers)
		refused = err != nil && both.Err() == nil
		return err
	})
	if err = group.Wait(); err == nil {
		return rec, release, nil
	}
	release()
	if refused {
		err = errors.Join(err, s.discard(ctx, p))
	}
	return record{}, nil, err
}

// assemblePinned assembles an image whose root filesystem is not removed before unpin is called. It begins anew if that is removed
// in between, as its image was a moment ago.
func (s *Store) assemblePinned(ctx context.Context, p plan, layers *fetching) (rec record, unpin func(), err error) {
	unpin = func() {}
	for {
		if rec, err = s.assemble(ctx, p, layers); err != nil || len(rec.folders()) == 0 {
			return rec, unpin, err
		}
		release, err := lockPath(ctx, s.roots.path(rec.folders()[0]), unix.LOCK_SH)
		if err == nil {
			return rec, release, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return record{}, unpin, err
		}
	}
}

func (s *Store) storeLock() string { return filepath.Join(s.dir, "lock") }

// remember records what the reference means, beside what is known of the same image for another purpose. It is known by its digest
// as well, and by the tag last: a tag that is known has its digest known. The store's lock is held.
func (s *Store) remember(ref reference, rec record) error {
	if old, err := s.refs.get(ref.at(rec.Manifest)); err == nil { // none, or a damaged one, adds nothing
		rec = rec.with(old)
	}
	rec.Pulled = time.Now().UTC()
	for _, rec.Reference = range []string{ref.at(rec.Manifest), ref.name()} {
		if err := s.refs.put(rec); err != nil {
			return fmt.Errorf("remember %s: %w", rec.Reference, err)
		}
	}
	return nil
}
