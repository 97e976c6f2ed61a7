package registry

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

func TestPush(t *testing.T) {
	srv := newServer(t)
	module := wasm("pushed", 10)
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	image := srv.host() + "/me/app:v1"
	id, err := Push(t.Context(), image, module, PushConfig{Created: created, Author: "me"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newStore(t, Config{}).pulled(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, m, module)
	if m.ImageID != id {
		t.Errorf("pushed %s, pulled %s", id, m.ImageID)
	}

	// These are the values that other tools see.
	ref, err := distribution.ParseReference(image, distribution.NewHostPolicy(nil))
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref.Repo.Tag("v1"), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	made, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if made.Config.MediaType != manifest.ConfigType || len(made.Layers) != 1 || made.Layers[0].MediaType != manifest.LayerType {
		t.Errorf("manifest %+v", made)
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	digests, _ := config["layerDigests"].([]any)
	if config["architecture"] != "wasm" || config["os"] != "wasip1" || config["author"] != "me" ||
		config["created"] != "2026-01-02T03:04:05Z" || len(digests) != 1 || digests[0] != digestOf(module) {
		t.Errorf("config %s", raw)
	}
}

func TestPushErrors(t *testing.T) {
	srv := newServer(t)
	module := wasm("x", 1)
	for _, image := range []string{"fs//srv/x.wasm", srv.host() + "/App", srv.host() + "/app@sha256:" + zeros} {
		_, err := Push(t.Context(), image, module, PushConfig{})
		errorcheck.Is(t, err, fault.ErrInvalidReference)
	}
	_, err := Push(t.Context(), srv.host()+"/app", []byte("\x7fELF...."), PushConfig{})
	errorcheck.Is(t, err, fault.ErrNotWasm, "ELF")
	srv.answer("/v2/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	_, err = Push(t.Context(), srv.host()+"/app", module, PushConfig{})
	errorcheck.Is(t, err, fault.ErrUnauthorized, srv.host())
}
