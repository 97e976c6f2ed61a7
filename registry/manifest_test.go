package registry

import (
	"errors"
	"strings"
	"testing"
)

func TestModuleLayer(t *testing.T) {
	const (
		cncf  = `"config":{"mediaType":"application/vnd.wasm.config.v0+json"}`
		other = `{"mediaType":"text/plain","size":5,"digest":"sha256:` + zeros + `"}`
		layer = `{"mediaType":"application/wasm","size":100,"digest":"sha256:` + zeros + `"}`
	)
	for _, tt := range []struct{ name, contentType, manifest, says string }{
		{name: "one layer", manifest: `{` + cncf + `,"layers":[` + layer + `]}`},
		{name: "others beside it", manifest: `{` + cncf + `,"layers":[` + other + `,` + layer + `,` + other + `]}`},
		{name: "two", manifest: `{` + cncf + `,"layers":[` + layer + `,` + layer + `]}`, says: "2 layers"},
		{name: "none", manifest: `{` + cncf + `}`, says: "0 layers"},
		{name: "no config", manifest: `{"layers":[` + layer + `]}`, says: "without a config"},
		{name: "nothing", manifest: ``, says: "cannot be read"},
		{name: "two documents", manifest: `{` + cncf + `,"layers":[` + layer + `]}{}`, says: "cannot be read"},
		{name: "null", manifest: `null`, says: "without a config"},
		{name: "schema 1", manifest: `{"schemaVersion":1,"fsLayers":[]}`, contentType: "application/vnd.docker.distribution.manifest.v1+prettyjws", says: "manifest.v1"},
		{
			name: "index", contentType: "application/vnd.oci.image.index.v1+json; charset=utf-8",
			manifest: `{"manifests":[{"platform":{"os":"linux","architecture":"amd64"}},{}]}`, says: "2 images for linux/amd64",
		},
		{name: "index and image at once", manifest: `{` + cncf + `,"layers":[` + layer + `],"manifests":[{}]}`, says: "index"},
		{name: "image called an index", contentType: "application/vnd.oci.image.index.v1+json", manifest: `{` + cncf + `,"layers":[` + layer + `]}`, says: "index"},
		{name: "digest that is none", manifest: `{` + cncf + `,"layers":[{"mediaType":"application/wasm","size":100,"digest":"../../x"}]}`, says: "cannot be read"},
		{name: "no digest", manifest: `{` + cncf + `,"layers":[{"mediaType":"application/wasm","size":100}]}`, says: "digest"},
		{name: "other digest", manifest: `{` + cncf + `,"layers":[{"mediaType":"application/wasm","size":100,"digest":"sha512:` + zeros + zeros + `"}]}`, says: "sha256"},
		{name: "negative size", manifest: `{` + cncf + `,"layers":[{"mediaType":"application/wasm","size":-1,"digest":"sha256:` + zeros + `"}]}`, says: "size"},
		{name: "nested", manifest: strings.Repeat("[", 100_000), says: "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := moduleLayer(tt.contentType, []byte(tt.manifest))
			if tt.says != "" {
				checkError(t, err, ErrNotWasm, tt.says)
				return
			}
			if err != nil || got.Size != 100 || got.Digest.String() != "sha256:"+zeros {
				t.Errorf("layer %+v, %v", got, err)
			}
		})
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func FuzzModuleLayer(f *testing.F) {
	f.Add("application/vnd.oci.image.manifest.v1+json", []byte(`{"config":{"mediaType":"application/vnd.wasm.config.v0+json"},"layers":[{"mediaType":"application/wasm","size":100,"digest":"sha256:`+zeros+`"}]}`))
	f.Add("application/vnd.oci.image.index.v1+json", []byte(`{"manifests":[{"platform":{"os":"linux\n"}}]}`))
	f.Add("", []byte(`{"config":{"mediaType":"a\nb"},"layers":[{"mediaType":"c\nd"}]}`))
	f.Fuzz(func(t *testing.T, contentType string, data []byte) {
		layer, err := moduleLayer(contentType, data)
		if err != nil {
			if !errors.Is(err, ErrNotWasm) || strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > maxText+10 {
				t.Errorf("%q: error %q", data, err)
			}
			return
		}
		if !digestForm.MatchString(layer.Digest.String()) || layer.Size < preambleSize {
			t.Errorf("%q: layer %+v", data, layer)
		}
	})
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"a\n b\t\x1b[0mc":        "a b [0mc",
		"a\xffb":                 "a?b",
		strings.Repeat("ä", 500): strings.Repeat("ä", maxText/2) + "…",
		" \n ":                   "",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q", in, got)
		}
	}
}
