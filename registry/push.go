package registry

import (
	"context"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// PushConfig says how a module is published. The zero value is valid.
type PushConfig struct {
	// InsecureRegistries, Authorities, HostsDir and UserAgent are as in Config. Mirrors are not
	// pushed to.
	InsecureRegistries []string
	Authorities        []string
	HostsDir           string
	UserAgent          string
	// Keys find the credentials. The first one is used. nil means the credentials of the user's
	// docker config.
	Keys distribution.Keys
	// Progress is called by one goroutine with the number of sent bytes and the total; it may be
	// nil.
	Progress func(done, size int64)
	// Created is the time in the artifact's config. Zero means the beginning of 1970, so that the
	// same module always becomes the same artifact.
	Created time.Time
	// Author is the author in the artifact's config; it may be empty.
	Author string
}

// Push publishes a module or component as a CNCF wasm artifact and returns REPOSITORY@DIGEST. image
// is a reference by tag. The same module with the same Created and Author has the same digest. A
// component that cannot be decoded is not published. An error without a class ErrInvalidReference,
// ErrNotWasm, ErrTooLarge or ErrUnauthorized is a failure of the registry.
func Push(ctx context.Context, image string, module []byte, cfg PushConfig) (imageID string, err error) {
	hosts := distribution.NewHostPolicy(cfg.InsecureRegistries)
	ref, err := distribution.ParseReference(image, hosts)
	if err != nil {
		return "", err
	}
	if ref.Path != "" || ref.Digest != "" {
		return "", fault.New(fault.ErrInvalidReference, nil, "image %.300q cannot be pushed to: give REGISTRY/NAME:TAG", image)
	}
	config, err := artifactConfig(module, cfg)
	if err != nil {
		return "", err
	}
	img, err := newArtifact(manifest.ConfigType, config, manifest.LayerType, module)
	if err != nil {
		return "", err
	}
	if err := pushImage(ctx, ref, img, hosts, cfg); err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	return ref.At(digest.String()), nil
}

// pushImage sends an image to the registry that the reference names.
func pushImage(ctx context.Context, ref distribution.Reference, img v1.Image, hosts distribution.HostPolicy, cfg PushConfig) error {
	if cfg.UserAgent == "" {
		cfg.UserAgent = defaultUserAgent
	}
	network, err := distribution.NewNetwork(hosts, cfg.Authorities, cfg.HostsDir, cfg.UserAgent)
	if err != nil {
		return err
	}
	endpoints, err := network.Endpoints(ref.Repo.Registry)
	if err != nil {
		return err
	}
	to := endpoints[len(endpoints)-1] // the registry comes after its mirrors
	options := []remote.Option{remote.WithContext(ctx), remote.WithTransport(to.Transport)}
	if cfg.Keys == nil {
		options = append(options, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	} else {
		keys, err := cfg.Keys.Lookup(ctx, ref.Repository())
		if err != nil {
			return fault.New(nil, err, "credentials for registry %s: %v", ref.Repo.RegistryStr(), err)
		}
		if len(keys) > 0 {
			options = append(options, remote.WithAuth(keys[0].Auth()))
		}
	}
	if cfg.Progress != nil {
		updates := make(chan v1.Update, 100)
		told := make(chan struct{})
		go func() {
			defer close(told)
			for u := range updates { // the library closes it
				if u.Error == nil {
					cfg.Progress(u.Complete, u.Total)
				}
			}
		}()
		defer func() { <-told }()
		options = append(options, remote.WithProgress(updates))
	}
	tag := to.Registry.Repo(strings.Split(ref.Repo.RepositoryStr(), "/")...).Tag(ref.Tag)
	if err := remote.Write(tag, img, options...); err != nil {
		return fault.OfRegistry(ref.Repo.RegistryStr(), ref.Repo.RepositoryStr(), err)
	}
	return nil
}
