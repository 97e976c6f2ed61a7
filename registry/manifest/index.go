package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// MaxNesting is how many indexes may lead to a manifest. Tools make at most an index of an index.
const MaxNesting = 4

// Entry is an index's entry for one manifest or one further index.
type Entry struct {
	v1.Descriptor
}

// wasmSystems are the operating systems of platforms OS/wasm, in the order of preference. For other
// systems the architecture is enough.
var wasmSystems = []string{"wasip1", "wasip2", "wasi", "wasm"}

// isWasm reports whether this node runs a platform: wasip1/wasm and similar ones, and wasi/wasm32,
// which Docker used.
func isWasm(system, architecture string) bool {
	return architecture == "wasm" || architecture == "wasm32" || architecture == "wasm64" || slices.Contains(wasmSystems, system)
}

// preference is a number that is lower for a preferred platform.
func (e Entry) preference() int {
	if i := slices.Index(wasmSystems, e.Platform.OS); i >= 0 {
		return i
	}
	return len(wasmSystems)
}

// isImage reports whether the entry is an image and not information about one. Builders put their
// attestations beside the images, with the "platform" unknown/unknown. Signers put their signatures
// there.
func (e Entry) isImage() bool {
	_, attests := e.Annotations["vnd.docker.reference.type"]
	return !attests && !(e.Platform != nil && e.Platform.OS == "unknown" && e.Platform.Architecture == "unknown")
}

// Choose finds the next manifest: the one for a WebAssembly platform, or the only one. Its errors
// are of the class ErrNotWasm.
func (m Manifest) Choose() (v1.Descriptor, error) {
	var wasm, images []Entry
	for _, e := range m.Manifests {
		if !e.isImage() {
			continue
		}
		images = append(images, e)
		if e.Platform != nil && isWasm(e.Platform.OS, e.Platform.Architecture) {
			wasm = append(wasm, e)
		}
	}
	if len(images) == 0 && len(m.Manifests) == 1 {
		images = m.Manifests
	}
	switch {
	case len(wasm) > 0:
		best := slices.MinFunc(wasm, func(a, b Entry) int { return cmp.Compare(a.preference(), b.preference()) })
		return best.Descriptor, CheckLayer(best.Descriptor, 0)
	case len(images) == 1:
		return images[0].Descriptor, CheckLayer(images[0].Descriptor, 0)
	}
	return v1.Descriptor{}, fault.New(fault.ErrNotWasm, nil, "found an index of %d images%s, none of them for WebAssembly; name one by its digest, or %s",
		len(images), platforms(images), whatWorks)
}

// platforms names the first few platforms of an index.
func platforms(entries []Entry) string {
	var all []string
	for _, e := range entries {
		if p := e.Platform; p != nil && len(all) < 8 {
			all = append(all, platform(p.OS, p.Architecture))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " for " + strings.Join(all, ", ")
}

func platform(system, architecture string) string {
	return fmt.Sprintf("%.40s/%.40s", cmp.Or(system, "?"), cmp.Or(architecture, "?"))
}
