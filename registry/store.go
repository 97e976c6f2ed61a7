package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/zap"

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
	// MaxUnpackedSize bounds a root filesystem, in bytes of its layers unpacked and of its files; 0 means 8 GiB.
	MaxUnpackedSize int64
	// MaxFiles bounds the entries of all layers of a root filesystem together; 0 means 250,000.
	MaxFiles int64
	// UserAgent is what registries are told; empty means "krustlet-wasi".
	UserAgent string
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

// Store keeps modules on disk. It is safe for concurrent use, by one process.
type Store struct {
	hosts      hostPolicy
	transport  http.RoundTripper
	keys       authn.Keychain
	allowLocal bool
	stall      time.Duration
	blobs      blobs
	refs       refs
	roots      roots
	log        *zap.Logger

	pulls   calls[Module]   // by reference
	fetches calls[blob]     // by repository and layer
	unpacks calls[struct{}] // by root filesystem
}

// New opens the store in cfg.Dir, and removes what a crash left half-written there.
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
	s := &Store{
		hosts:      newHostPolicy(cfg.InsecureRegistries),
		keys:       authn.DefaultKeychain,
		allowLocal: cfg.AllowLocalModules,
		stall:      stallTime,
		blobs:      blobs{dir: filepath.Join(dir, "blobs", "sha256"), maxModule: cfg.MaxModuleSize, maxLayer: cfg.MaxLayerSize},
		refs:       refs{dir: filepath.Join(dir, "refs")},
		roots: roots{
			dir: filepath.Join(dir, rootsFolder), maxModule: cfg.MaxModuleSize,
			limits: rootfs.Limits{Bytes: cfg.MaxUnpackedSize, Entries: int(cfg.MaxFiles)},
		},
		log: cfg.Log,
	}
	s.transport = newTransport(newPolicyTransport(s.hosts), cfg.UserAgent)
	for _, d := range []string{s.blobs.dir, s.refs.dir} {
		if err := clean(d); err != nil {
			return nil, fmt.Errorf("open module store: %w", err)
		}
	}
	if err := s.roots.clean(); err != nil {
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
// Its errors are of the classes ErrInvalidReference and ErrLocalModules; for local files also ErrNotWasm,
// ErrTooLarge, ErrDigestMismatch, or a failure to read them.
func (s *Store) Lookup(image string) (m Module, present bool, err error) {
	ref, err := parseReference(image, s.hosts)
	if err != nil {
		return Module{}, false, err
	}
	if ref.path != "" {
		return s.local(image, ref)
	}
	rec, err := s.refs.get(ref.name())
	if err == nil {
		if m, err = s.moduleOf(ref, rec); err == nil {
			m.Image = image
			return m, true, nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// Pulling again mends it.
		s.log.Warn("image on disk is damaged", zap.String("image", image), zap.Error(err))
	}
	return Module{}, false, nil
}

// Pull asks the registry what the image is now, fetches the module unless it is on disk, and remembers what the
// reference means. A local file is taken as by Lookup. Pull blocks until it is done or ctx ends, in which case
// the error is ctx's. Any of the Err classes may come; after an error the store is as it was before.
func (s *Store) Pull(ctx context.Context, image string) (Module, error) {
	ref, err := parseReference(image, s.hosts)
	if err != nil {
		return Module{}, err
	}
	if ref.path != "" {
		m, present, err := s.local(image, ref)
		if err == nil && !present {
			err = fail(ErrNotFound, nil, "local module: no file %s (fs/PATH is relative to the agent's working directory, fs//PATH is absolute)", ref.path)
		}
		return m, err
	}
	m, err := s.pulls.do(ctx, ref.name(), func(ctx context.Context) (Module, error) {
		return s.pull(ctx, ref)
	})
	m.Image = image
	if err != nil {
		return Module{}, err
	}
	return m, nil
}

// pull is one shared pull.
func (s *Store) pull(ctx context.Context, ref reference) (Module, error) {
	begin := time.Now()
	remote, err := open(ctx, ref.repo, s.transport, s.keys, s.stall)
	if err != nil {
		return Module{}, err
	}
	p, err := resolve(ctx, remote, ref.manifestID())
	if err != nil {
		return Module{}, err
	}
	layers, err := s.fetchAll(ctx, remote, ref, p)
	if err != nil {
		return Module{}, err
	}
	rec, err := s.assemble(ctx, p, layers)
	if err != nil {
		return Module{}, err
	}
	// Known by its digest as well, and by the tag last: a tag that is known has its digest known.
	for _, rec.Reference = range []string{ref.at(p.manifest), ref.name()} {
		if err := s.refs.put(rec); err != nil {
			return Module{}, fmt.Errorf("remember %s: %w", rec.Reference, err)
		}
	}
	m, err := s.moduleOf(ref, rec)
	if err != nil {
		return Module{}, err
	}
	s.log.Debug("pulled", zap.String("image", ref.name()), zap.String("digest", p.manifest),
		zap.Int64("size", m.Size), zap.Duration("took", time.Since(begin)))
	return m, nil
}

// fetchAll brings the plan's layers to the disk, and returns them in its order.
func (s *Store) fetchAll(ctx context.Context, remote *session, ref reference, p plan) ([]blob, error) {
	layers := make([]blob, len(p.layers))
	for i, layer := range p.layers {
		b, err := s.fetches.do(ctx, ref.at(layer.Digest.String()), func(ctx context.Context) (blob, error) {
			return s.fetch(ctx, remote, layer, p.kind)
		})
		if err != nil {
			return nil, err
		}
		layers[i] = b
	}
	return layers, nil
}

// fetch returns the layer's blob from the disk, or else from the registry. A blob of another size than the
// manifest says is fetched, so that whoever lies is found out.
func (s *Store) fetch(ctx context.Context, remote *session, layer v1.Descriptor, kind kind) (blob, error) {
	digest := layer.Digest.String()
	if b, err := s.blobs.find(digest, kind); err == nil && b.size == layer.Size {
		return b, nil
	}
	if limit := s.blobs.limit(kind); layer.Size > limit {
		return blob{}, tooLarge(kind, layer.Size, limit)
	}
	var stored blob
	err := remote.blob(ctx, layer, func(r io.Reader) (err error) {
		stored, err = s.blobs.put(r, expected{digest: digest, size: layer.Size, kind: kind})
		return err
	})
	return stored, err
}
