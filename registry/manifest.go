package registry

import (
	"encoding/json"
	"fmt"
	"mime"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Media types of WebAssembly artifacts.
const (
	// CNCF TAG Runtime, "Wasm OCI Artifact layout".
	wasmConfigType types.MediaType = "application/vnd.wasm.config.v0+json"
	wasmLayerType  types.MediaType = "application/wasm"
	// wasm-to-oci, which Krustlet's documentation uses.
	krustletConfigType types.MediaType = "application/vnd.wasm.config.v1+json"
	krustletLayerType  types.MediaType = "application/vnd.wasm.content.layer.v1+wasm"
)

// format is a way to publish a module. An image is of a format when it has the format's config and exactly one
// layer of the format's type: the module. Layers of other types are not looked at.
type format struct {
	name   string
	config types.MediaType
	layer  types.MediaType
}

var formats = []format{
	{"wasm-to-oci", krustletConfigType, krustletLayerType},
	{"CNCF wasm artifact", wasmConfigType, wasmLayerType},
	// oras push without --config.
	{"artifact without config", types.OCIEmptyJSON, wasmLayerType},
}

// acceptedManifests are the media types that a registry is asked for. Indexes are among them so that
// they are refused by name, not by a registry's 404.
var acceptedManifests = strings.Join([]string{
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
	string(types.OCIImageIndex), string(types.DockerManifestList),
}, ", ")

// whatWorks ends the messages about images that do not.
var whatWorks = fmt.Sprintf("publish the .wasm file as an OCI artifact with config %s and one layer %s", wasmConfigType, wasmLayerType)

// manifest is what an image manifest and an image index may hold, of interest here.
type manifest struct {
	MediaType types.MediaType `json:"mediaType"`
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []struct {
		Platform *struct {
			OS           string `json:"os"`
			Architecture string `json:"architecture"`
		} `json:"platform"`
	} `json:"manifests"`
}

// moduleLayer finds the layer that holds the module. contentType is what the registry called the manifest. Its
// errors are of the class ErrNotWasm.
func moduleLayer(contentType string, data []byte) (v1.Descriptor, error) {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return v1.Descriptor{}, fail(ErrNotWasm, err, "the image's manifest cannot be read: %v", err)
	}
	if m.MediaType == "" {
		if parsed, _, err := mime.ParseMediaType(contentType); err == nil {
			m.MediaType = types.MediaType(parsed)
		}
	}
	if m.MediaType.IsIndex() || len(m.Manifests) > 0 {
		return v1.Descriptor{}, refuseIndex(m)
	}
	if m.Config == nil {
		return v1.Descriptor{}, fail(ErrNotWasm, nil, "found a manifest of type %q without a config; %s", m.MediaType, whatWorks)
	}
	for _, f := range formats {
		if m.Config.MediaType != f.config {
			continue
		}
		var found []v1.Descriptor
		for _, layer := range m.Layers {
			if layer.MediaType == f.layer {
				found = append(found, layer)
			}
		}
		if len(found) == 1 {
			return checkedLayer(found[0])
		}
		return v1.Descriptor{}, fail(ErrNotWasm, nil, "found %d layers of type %s in an image of the form %s, which has one", len(found), f.layer, f.name)
	}
	return v1.Descriptor{}, refuseImage(m)
}

// checkedLayer refuses a layer's descriptor that no module can have.
func checkedLayer(layer v1.Descriptor) (v1.Descriptor, error) {
	if !digestForm.MatchString(layer.Digest.String()) {
		return v1.Descriptor{}, fail(ErrNotWasm, nil, "the module's digest in the manifest is %.100q; it must be sha256: and 64 hexadecimal digits", layer.Digest.String())
	}
	if layer.Size < preambleSize {
		return v1.Descriptor{}, fail(ErrNotWasm, nil, "the module's size in the manifest is %d bytes; the smallest module has %d", layer.Size, preambleSize)
	}
	return layer, nil
}

// refuseIndex says what an index offers.
func refuseIndex(m manifest) error {
	var platforms []string
	for _, entry := range m.Manifests {
		if p := entry.Platform; p != nil && len(platforms) < 8 {
			platforms = append(platforms, fmt.Sprintf("%.40s/%.40s", p.OS, p.Architecture))
		}
	}
	of := ""
	if len(platforms) > 0 {
		of = " for " + strings.Join(platforms, ", ")
	}
	return fail(ErrNotWasm, nil, "found an index of %d images%s; name the one that holds a WebAssembly module by its digest, or %s",
		len(m.Manifests), of, whatWorks)
}

// refuseImage says what an image of no known format is.
func refuseImage(m manifest) error {
	var layers []string
	seen := map[types.MediaType]bool{}
	for _, layer := range m.Layers {
		if !seen[layer.MediaType] && len(layers) < 4 {
			seen[layer.MediaType] = true
			layers = append(layers, fmt.Sprintf("%.100s", layer.MediaType))
		}
	}
	what := "an image of a form that is not known here"
	if t := m.Config.MediaType; t == types.OCIConfigJSON || t == types.DockerConfigJSON {
		what = "a container image, which needs a container runtime"
	}
	return fail(ErrNotWasm, nil, "found %s (config %.100s, %d layers: %s); %s",
		what, m.Config.MediaType, len(m.Layers), strings.Join(layers, ", "), whatWorks)
}
