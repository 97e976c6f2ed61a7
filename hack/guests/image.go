package guests

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Image is an image with a root filesystem for wasip1/wasm, as an image builder makes it. Each
// layer is a map from paths to files.
func Image(t testing.TB, config v1.Config, layers ...map[string][]byte) v1.Image {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "wasip1", Architecture: "wasm", Config: config})
	if err != nil {
		t.Fatalf("make an image: %v", err)
	}
	for _, files := range layers {
		layer, err := crane.Layer(files)
		if err != nil {
			t.Fatalf("make a layer: %v", err)
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			t.Fatalf("make an image: %v", err)
		}
	}
	return image
}
