package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

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
	// Created is the time in the artifact's config; zero means now.
	Created time.Time
	// Author is the author in the artifact's config; it may be empty.
	Author string
}

// Push publishes a module or component as a CNCF wasm artifact and returns REPOSITORY@DIGEST. image
// is a reference by tag. An error without a class ErrInvalidReference, ErrNotWasm or
// ErrUnauthorized is a failure of the registry.
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

// artifactConfig is the config that the CNCF's layout requires. The list of a component's imports
// and exports is optional and left out.
func artifactConfig(module []byte, cfg PushConfig) ([]byte, error) {
	component, err := manifest.IsComponent(module)
	if err != nil {
		return nil, err
	}
	os := "wasip1"
	if component {
		os = "wasip2"
	}
	if cfg.Created.IsZero() {
		cfg.Created = time.Now()
	}
	digest, _, err := v1.SHA256(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Created      time.Time `json:"created"`
		Author       string    `json:"author,omitempty"`
		Architecture string    `json:"architecture"`
		OS           string    `json:"os"`
		LayerDigests []string  `json:"layerDigests"`
	}{cfg.Created.UTC().Truncate(time.Second), cfg.Author, "wasm", os, []string{digest.String()}})
}

// artifact is an image of one layer with a config of any kind.
type artifact struct {
	manifest []byte
	config   []byte
	layer    v1.Layer
}

// newArtifact makes an image of one layer.
func newArtifact(configType types.MediaType, config []byte, layerType types.MediaType, content []byte) (v1.Image, error) {
	a := &artifact{config: config, layer: static.NewLayer(content, layerType)}
	configDigest, configSize, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	digest, err := a.layer.Digest()
	if err != nil {
		return nil, err
	}
	a.manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: configType, Size: configSize, Digest: configDigest},
		Layers:        []v1.Descriptor{{MediaType: layerType, Size: int64(len(content)), Digest: digest}},
	})
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(a)
}

// These are the methods of partial.CompressedImageCore.

func (a *artifact) RawConfigFile() ([]byte, error)      { return a.config, nil }
func (a *artifact) RawManifest() ([]byte, error)        { return a.manifest, nil }
func (a *artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func (a *artifact) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	if own, err := a.layer.Digest(); err != nil || own != digest {
		return nil, fmt.Errorf("no layer %s", digest)
	}
	return a.layer, nil
}
