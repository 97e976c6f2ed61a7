package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/world"
)

// wasmConfig is the config that the CNCF's layout requires. The fields, their order, and null for
// what is not known are those of the tool wkg.
type wasmConfig struct {
	Created      time.Time        `json:"created"`
	Author       *string          `json:"author"`
	Architecture string           `json:"architecture"`
	OS           string           `json:"os"`
	LayerDigests []string         `json:"layerDigests"`
	Component    *componentConfig `json:"component"` // null for a module
}

// componentConfig describes a component to users of a registry. Nodes look at the component itself.
type componentConfig struct {
	Exports []string `json:"exports"`
	Imports []string `json:"imports"`
	Target  *string  `json:"target"` // the name of a world; a component does not have it
}

// artifactConfig is the config of a module or component.
func artifactConfig(module []byte, cfg PushConfig) ([]byte, error) {
	component, err := manifest.IsComponent(module)
	if err != nil {
		return nil, err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	if cfg.Created.IsZero() {
		cfg.Created = time.Unix(0, 0)
	}
	config := wasmConfig{
		Created:      cfg.Created.UTC().Truncate(time.Second),
		Architecture: "wasm", OS: "wasip1",
		LayerDigests: []string{digest.String()},
	}
	if cfg.Author != "" {
		config.Author = &cfg.Author
	}
	if component {
		config.OS = "wasip2" // of WASI 0.3, too: the layout has no other name
		if config.Component, err = describe(module); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(config)
	if err == nil && len(data) > manifest.MaxConfig {
		err = fault.New(fault.ErrTooLarge, nil, "the component has so many imports and exports that their list has %d bytes; the most is %d", len(data), manifest.MaxConfig)
	}
	return data, err
}

// describe lists what a component imports and exports.
func describe(module []byte) (*componentConfig, error) {
	c, err := binary.Decode(module)
	if err != nil {
		return nil, fault.New(fault.ErrNotWasm, err, "the component cannot be published: %v", err)
	}
	w := world.Of(c)
	return &componentConfig{
		Exports: names(w.Exports, binary.SortInstance, binary.SortFunc),
		Imports: names(w.Imports, binary.SortInstance, binary.SortFunc, binary.SortType),
	}, nil
}

// names are the full names of the items of these sorts.
func names(items []world.Item, sorts ...binary.Sort) []string {
	all := []string{}
	for _, i := range items {
		if slices.Contains(sorts, i.Sort) {
			all = append(all, i.FullName())
		}
	}
	return all
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
