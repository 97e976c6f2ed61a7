package manifest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

const noughts = "0000000000000000000000000000000000000000000000000000000000000000"

// Parts of manifests.
func described(mediaType string, more string) string {
	return fmt.Sprintf(`{"mediaType":%q,"size":100,"digest":"sha256:%s"%s}`, mediaType, noughts, more)
}

func imageManifest(config string, layers ...string) string {
	return `{"schemaVersion":2,"config":` + described(config, "") + `,"layers":[` + strings.Join(layers, ",") + `]}`
}

const (
	wasmConfig  = "application/vnd.wasm.config.v0+json"
	imageConfig = "application/vnd.oci.image.config.v1+json"
	tarGzip     = "application/vnd.oci.image.layer.v1.tar+gzip"
)

func TestManifestContent(t *testing.T) {
	other, layer := described("text/plain", ""), described("application/wasm", "")
	tar := described(tarGzip, "")
	for _, tt := range []struct {
		name, contentType, manifest string
		layers                      int
		kind                        Kind
		says                        string
	}{
		{name: "CNCF artifact", manifest: imageManifest(wasmConfig, layer), layers: 1},
		{name: "artifact without config", manifest: imageManifest("application/vnd.oci.empty.v1+json", layer), layers: 1},
		{name: "wasm-to-oci", manifest: imageManifest("application/vnd.wasm.config.v1+json", described("application/vnd.wasm.content.layer.v1+wasm", "")), layers: 1},
		{name: "runwasi", manifest: imageManifest(imageConfig, described("application/vnd.bytecodealliance.wasm.component.layer.v0+wasm", "")), layers: 1},
		{name: "older wasmCloud", manifest: imageManifest("application/vnd.wasmcloud.actor.archive.config", described("application/vnd.module.wasm.content.layer.v1+wasm", "")), layers: 1},
		{name: "types that are crossed", manifest: imageManifest(wasmConfig, described("application/vnd.wasm.content.layer.v1+wasm", "")), layers: 1},
		{name: "others beside it", manifest: imageManifest(wasmConfig, other, layer, tar), layers: 1},
		{name: "root filesystem", manifest: imageManifest(imageConfig, tar, described("application/vnd.oci.image.layer.v1.tar+zstd", ""), described("application/vnd.oci.image.layer.v1.tar", "")), layers: 3, kind: Layer},
		{name: "root filesystem of Docker", manifest: imageManifest("application/vnd.docker.container.image.v1+json", described("application/vnd.docker.image.rootfs.diff.tar.gzip", "")), layers: 1, kind: Layer},
		{name: "two modules", manifest: imageManifest(wasmConfig, layer, layer), says: "2 layers that are modules"},
		{name: "no layer", manifest: imageManifest(wasmConfig), says: "0 layers"},
		{name: "tars in an artifact", manifest: imageManifest("application/vnd.cncf.helm.config.v1+json", tar), says: "helm.config"},
		{name: "tars and something else", manifest: imageManifest(imageConfig, tar, other), says: "text/plain"},
		{name: "too many layers", manifest: imageManifest(imageConfig, strings.Repeat(tar+",", maxLayers)+tar), says: "257 layers"},
		{name: "no config", manifest: `{"layers":[` + layer + `]}`, says: "without a config"},
		{name: "nothing", manifest: ``, says: "cannot be read"},
		{name: "two documents", manifest: imageManifest(wasmConfig, layer) + `{}`, says: "cannot be read"},
		{name: "null", manifest: `null`, says: "without a config"},
		{name: "schema 1", manifest: `{"schemaVersion":1,"fsLayers":[]}`, contentType: "application/json", says: "schema 1"},
		{name: "schema 1 by its type", manifest: `{}`, contentType: "application/vnd.docker.distribution.manifest.v1+prettyjws", says: "schema 1"},
		{name: "index and image at once", manifest: strings.Replace(imageManifest(wasmConfig, layer), `{"schema`, `{"manifests":[{}],"schema`, 1), says: "an image and an index"},
		{name: "image called an index", contentType: "application/vnd.oci.image.index.v1+json", manifest: imageManifest(wasmConfig, layer), says: "called an index"},
		{name: "digest that is none", manifest: strings.ReplaceAll(imageManifest(wasmConfig, layer), "sha256:"+noughts, "../../x"), says: "cannot be read"},
		{name: "no digest", manifest: imageManifest(wasmConfig, `{"mediaType":"application/wasm","size":100}`), says: "digest"},
		{name: "other digest", manifest: strings.ReplaceAll(imageManifest(wasmConfig, layer), "sha256:"+noughts, "sha512:"+noughts+noughts), says: "sha256"},
		{name: "negative size", manifest: imageManifest(wasmConfig, strings.Replace(layer, "100", "-1", 1)), says: "size"},
		{name: "layer of negative size", manifest: imageManifest(imageConfig, tar, strings.Replace(tar, "100", "-1", 1)), says: "size"},
		{name: "nested", manifest: strings.Repeat("[", 100_000), says: "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Read(tt.contentType, []byte(tt.manifest))
			if err == nil {
				layers, kind, contentErr := m.Content()
				if err = contentErr; err == nil && (len(layers) != tt.layers || kind != tt.kind) {
					t.Errorf("%d layers of kind %v", len(layers), kind)
				}
			}
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error %v; want one that says %q", err, tt.says)
			}
			if err != nil && !errors.Is(err, fault.ErrNotWasm) && !errors.Is(err, fault.ErrTooLarge) {
				t.Errorf("error %v is of no class", err)
			}
		})
	}
}

func TestIndexChoice(t *testing.T) {
	entry := func(n int, platform string) string {
		digest := fmt.Sprintf(`,"digest":"sha256:%064d"`, n)
		if platform == "" {
			return `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":9` + digest + `}`
		}
		system, architecture, _ := strings.Cut(platform, "/")
		return fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":9%s,"platform":{"os":%q,"architecture":%q}}`, digest, system, architecture)
	}
	attestation := strings.Replace(entry(9, "unknown/unknown"), `{`, `{"annotations":{"vnd.docker.reference.type":"attestation-manifest"},`, 1)
	for _, tt := range []struct {
		name    string
		entries []string
		want    int
		says    string
	}{
		{name: "one", entries: []string{entry(1, "")}, want: 1},
		{name: "one for Linux, which its config may explain", entries: []string{entry(1, "linux/amd64")}, want: 1},
		{name: "WebAssembly among others", entries: []string{entry(1, "linux/amd64"), entry(2, "wasi/wasm"), entry(3, "linux/arm64")}, want: 2},
		{name: "as Docker has had it", entries: []string{entry(1, "linux/amd64"), entry(2, "wasi/wasm32")}, want: 2},
		{name: "the order of preference", entries: []string{entry(1, "js/wasm"), entry(2, "wasm/wasm"), entry(3, "wasi/wasm"), entry(4, "wasip2/wasm"), entry(5, "wasip1/wasm")}, want: 5},
		{name: "the first of its kind", entries: []string{entry(1, "wasip2/wasm"), entry(2, "wasip2/wasm")}, want: 1},
		{name: "no platform beside one", entries: []string{entry(1, ""), entry(2, "wasip2/wasm")}, want: 2},
		{name: "attestations are no images", entries: []string{attestation, entry(1, ""), entry(3, "unknown/unknown")}, want: 1},
		{name: "an attestation alone", entries: []string{attestation}, want: 9},
		{name: "several for Linux", entries: []string{entry(1, "linux/amd64"), entry(2, "linux/arm64"), attestation}, says: "2 images for linux/amd64, linux/arm64"},
		{name: "several that say nothing", entries: []string{entry(1, ""), entry(2, "")}, says: "2 images, none of them"},
		{name: "none", says: "0 images"},
		{name: "no digest", entries: []string{`{"size":9}`}, says: "digest"},
		{name: "a platform of many lines", entries: []string{entry(1, "a\n/b"), entry(2, "c/d")}, says: "for a /b, c/d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Read("application/vnd.oci.image.index.v1+json", []byte(`{"schemaVersion":2,"manifests":[`+strings.Join(tt.entries, ",")+`]}`))
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Choose()
			if tt.says != "" {
				errorcheck.Is(t, err, fault.ErrNotWasm, tt.says)
				return
			}
			if err != nil || got.Digest.String() != fmt.Sprintf("sha256:%064d", tt.want) {
				t.Errorf("chose %s, %v", got.Digest, err)
			}
		})
	}
}

func FuzzManifest(f *testing.F) {
	f.Add("application/vnd.oci.image.manifest.v1+json", []byte(imageManifest(wasmConfig, described("application/wasm", ""))))
	f.Add("application/vnd.docker.distribution.manifest.v2+json", []byte(imageManifest(imageConfig, described(tarGzip, ""), described(tarGzip, ""))))
	f.Add("application/vnd.oci.image.index.v1+json", []byte(`{"manifests":[{"platform":{"os":"linux\n"}}]}`))
	f.Add("", []byte(`{"manifests":[`+described("", `,"platform":{"os":"wasi","architecture":"wasm"}`)+`,{}]}`))
	f.Add("", []byte(`{"config":{"mediaType":"a\nb"},"layers":[{"mediaType":"c\nd"}]}`))
	f.Add("application/json", []byte(`{"schemaVersion":1}`))
	f.Add("", []byte(`{"config":{},"layers":[{"annotations":{"org.opencontainers.image.title":"a/../b"}}]}`))
	f.Fuzz(func(t *testing.T, contentType string, data []byte) {
		m, err := Read(contentType, data)
		checkRefusal(t, data, err)
		if err != nil {
			return
		}
		if m.IsIndex() {
			chosen, err := m.Choose()
			checkRefusal(t, data, err)
			if err == nil && (!IsDigest(chosen.Digest.String()) || chosen.Size < 0) {
				t.Errorf("%q: chose %+v", data, chosen)
			}
			chosen, err = m.ChooseFiles()
			checkRefusal(t, data, err)
			if err == nil && (!IsDigest(chosen.Digest.String()) || chosen.Size < 0) {
				t.Errorf("%q: chose %+v for its files", data, chosen)
			}
			return
		}
		names, err := m.FileNames("image")
		checkRefusal(t, data, err)
		for _, name := range names {
			if name != filepath.Base(name) || !filepath.IsLocal(name) || name == "." {
				t.Errorf("%q: a file is called %q", data, name)
			}
		}
		layers, kind, err := m.Content()
		checkRefusal(t, data, err)
		if err != nil {
			return
		}
		if len(layers) == 0 || len(layers) > maxLayers || kind == Module && len(layers) != 1 {
			t.Errorf("%q: %d layers of kind %v", data, len(layers), kind)
		}
		for _, layer := range layers {
			if !IsDigest(layer.Digest.String()) || layer.Size < 0 {
				t.Errorf("%q: layer %+v", data, layer)
			}
		}
	})
}

// checkRefusal checks that an error about a registry's answer is one short line and has a class.
func checkRefusal(t *testing.T, data []byte, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if !errors.Is(err, fault.ErrNotWasm) && !errors.Is(err, fault.ErrTooLarge) && !errors.Is(err, fault.ErrInvalidImage) ||
		strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > fault.MaxText+10 {
		t.Errorf("%q: error %q", data, err)
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"a\n b\t\x1b[0mc":        "a b [0mc",
		"a\xffb":                 "a?b",
		strings.Repeat("ä", 500): strings.Repeat("ä", fault.MaxText/2) + "…",
		" \n ":                   "",
	} {
		if got := fault.OneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q", in, got)
		}
	}
}
