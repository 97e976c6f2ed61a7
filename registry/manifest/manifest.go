package manifest

import (
	"encoding/json"
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// Media types of WebAssembly artifacts.
const (
	// These are from the CNCF TAG Runtime, "Wasm OCI Artifact layout". Push uses them, and the
	// error messages recommend them.
	ConfigType types.MediaType = "application/vnd.wasm.config.v0+json"
	LayerType  types.MediaType = "application/wasm"
)

// moduleLayers are the media types of layers that are a module or a component. The config may have
// any type, because people use several types, and the config says nothing that is not in the
// module.
var moduleLayers = []types.MediaType{
	LayerType,
	"application/vnd.wasm.content.layer.v1+wasm",                    // wasm-to-oci, which Krustlet's documentation uses
	"application/vnd.bytecodealliance.wasm.component.layer.v0+wasm", // runwasi
	"application/vnd.module.wasm.content.layer.v1+wasm",             // older wasmCloud, proxies' plugins
}

// tarLayers are the media types of layers of a root filesystem. The bytes of a layer show how it is
// compressed.
var tarLayers = []types.MediaType{
	types.OCILayer, types.OCILayerZStd, types.OCIUncompressedLayer,
	types.DockerLayer, types.DockerUncompressedLayer, "application/vnd.docker.image.rootfs.diff.tar.zstd",
	types.OCIRestrictedLayer, types.OCIUncompressedRestrictedLayer, "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
}

// imageConfigs are the media types of configs that describe the use of a root filesystem.
var imageConfigs = []types.MediaType{types.OCIConfigJSON, types.DockerConfigJSON}

// AcceptedManifests are the media types that the node requests. Schema 1 is not among them. If a
// registry sends it anyway, the error names it.
var AcceptedManifests = strings.Join([]string{
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
	string(types.OCIImageIndex), string(types.DockerManifestList),
}, ", ")

// whatWorks is the end of the error messages about images that do not run here.
var whatWorks = fmt.Sprintf("publish the .wasm file as an OCI artifact with config %s and one layer %s, or build the image for the platform wasip1/wasm",
	ConfigType, LayerType)

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// IsDigest reports whether a text is a digest that this node supports: `sha256:` and 64 hexadecimal
// digits.
func IsDigest(text string) bool { return digestForm.MatchString(text) }

// maxLayers is more layers than any tool makes for an image.
const maxLayers = 256

// Kind is the kind of a blob's content.
type Kind int

const (
	Module Kind = iota // a module or component
	Layer              // a part of a root filesystem
	File               // a file of an artifact
)

func (k Kind) String() string { return [...]string{"module", "layer", "file"}[k] }

// Manifest is the part of an image manifest, or of an image index, that this node uses.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	Config        *v1.Descriptor    `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Annotations   map[string]string `json:"annotations"`
	Manifests     []Entry           `json:"manifests"`
}

// Read reads a manifest or an index. contentType is the media type that the registry gave. It is
// used if the manifest does not contain its own. The error is of the class ErrNotWasm.
func Read(contentType string, data []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Manifest{}, fault.New(fault.ErrNotWasm, err, "the image's manifest cannot be read: %v", err)
	}
	if m.MediaType == "" {
		if parsed, _, err := mime.ParseMediaType(contentType); err == nil {
			m.MediaType = types.MediaType(parsed)
		}
	}
	switch {
	case m.SchemaVersion == 1, m.MediaType == types.DockerManifestSchema1, m.MediaType == types.DockerManifestSchema1Signed:
		return Manifest{}, fault.New(fault.ErrNotWasm, nil, "found a Docker manifest of schema 1, which is read no more; push the image again by a tool of today")
	case len(m.Manifests) > 0 && (m.Config != nil || len(m.Layers) > 0):
		return Manifest{}, fault.New(fault.ErrNotWasm, nil, "found a manifest that is an image and an index at once")
	case m.MediaType.IsIndex() && m.Config != nil:
		return Manifest{}, fault.New(fault.ErrNotWasm, nil, "found an image that is called an index (%.100s)", m.MediaType)
	case m.IsIndex():
		return m, nil
	case m.Config == nil:
		return Manifest{}, fault.New(fault.ErrNotWasm, nil, "found a manifest of type %q without a config; %s", m.MediaType, whatWorks)
	case len(m.Layers) > maxLayers:
		return Manifest{}, fault.New(fault.ErrTooLarge, nil, "found an image of %d layers; this node takes images of up to %d", len(m.Layers), maxLayers)
	}
	return m, nil
}

func (m Manifest) IsIndex() bool { return m.MediaType.IsIndex() || len(m.Manifests) > 0 }

// HasImageConfig reports whether the config is that of a container image.
func (m Manifest) HasImageConfig() bool { return slices.Contains(imageConfigs, m.Config.MediaType) }

// HasRootfs reports whether all layers belong to a root filesystem.
func (m Manifest) HasRootfs() bool {
	return m.HasImageConfig() && len(m.Layers) > 0 && !slices.ContainsFunc(m.Layers, func(layer v1.Descriptor) bool {
		return !slices.Contains(tarLayers, layer.MediaType)
	})
}

// Content says which layers hold the image's content, and of what kind they are. If one layer is a
// module, layers of other types are ignored. A root filesystem needs all layers. Its errors are of
// the class ErrNotWasm.
func (m Manifest) Content() ([]v1.Descriptor, Kind, error) {
	var modules []v1.Descriptor
	for _, layer := range m.Layers {
		if slices.Contains(moduleLayers, layer.MediaType) {
			modules = append(modules, layer)
		}
	}
	switch {
	case len(modules) == 1:
		return modules, Module, CheckLayer(modules[0], PreambleSize)
	case len(modules) > 1:
		return nil, 0, fault.New(fault.ErrNotWasm, nil, "found %d layers that are modules each (%s), and one is what an image of modules has; several go into a root filesystem", len(modules), layerTypes(modules))
	case !m.HasRootfs():
		return nil, 0, fault.New(fault.ErrNotWasm, nil, "found an image of a form that is not known here (%s); %s", m.forms(), whatWorks)
	}
	for _, layer := range m.Layers {
		if err := CheckLayer(layer, 0); err != nil {
			return nil, 0, err
		}
	}
	return m.Layers, Layer, nil
}

// CheckLayer refuses a descriptor that is impossible for any content.
func CheckLayer(layer v1.Descriptor, smallest int64) error {
	if !IsDigest(layer.Digest.String()) {
		return fault.New(fault.ErrNotWasm, nil, "a digest in the manifest is %.100q; it must be sha256: and 64 hexadecimal digits", layer.Digest.String())
	}
	if layer.Size < smallest {
		return fault.New(fault.ErrNotWasm, nil, "a size in the manifest is %d bytes; the smallest there is has %d", layer.Size, smallest)
	}
	return nil
}

// forms names the media types of config and layers.
func (m Manifest) forms() string {
	return fmt.Sprintf("config %.100s, %d layers: %s", m.Config.MediaType, len(m.Layers), layerTypes(m.Layers))
}

// layerTypes names the media types of the first few layers.
func layerTypes(layers []v1.Descriptor) string {
	var all []string
	for _, layer := range layers {
		if t := fmt.Sprintf("%.100s", layer.MediaType); !slices.Contains(all, t) && len(all) < 4 {
			all = append(all, t)
		}
	}
	return strings.Join(all, ", ")
}
