package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Media types of the image: a plain module, and no configuration.
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	emptyType    = "application/vnd.oci.empty.v1+json"
	moduleType   = "application/wasm"
)

// The user who may pull from a private registry, as in the tests' secret.
const (
	registryUser     = "user"
	registryPassword = "password"
)

// blob is a part of an image.
type blob struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
	content   []byte
}

func newBlob(mediaType string, content []byte) blob {
	return blob{mediaType, fmt.Sprintf("sha256:%x", sha256.Sum256(content)), len(content), content}
}

func (b blob) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", b.MediaType)
	w.Header().Set("Docker-Content-Digest", b.Digest)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.content))
}

// fakeRegistry is a registry with one image, pause:testing. Its module is this program itself,
// which does nothing under that name.
func fakeRegistry(flags *flag.FlagSet) func() int {
	port := flags.Int("port", 5000, "port")
	private := flags.Bool("private", false, "ask for a user and a password")
	return func() int {
		module, err := os.ReadFile(os.Args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, "agnhost:", err)
			return 1
		}
		handler, err := registryRoutes(module)
		if err != nil {
			fmt.Fprintln(os.Stderr, "agnhost:", err)
			return 1
		}
		if *private {
			handler = authenticated(handler)
		}
		return serve(*port, handler)
	}
}

// authenticated accepts only clients that know the password.
func authenticated(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != registryUser || password != registryPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="agnhost"`)
			http.Error(w, "user and password are needed", http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// registryRoutes serves what a client needs to pull pause:testing.
func registryRoutes(module []byte) (http.Handler, error) {
	layer, config := newBlob(moduleType, module), newBlob(emptyType, []byte("{}"))
	content, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": []blob{layer},
	})
	if err != nil {
		return nil, err
	}
	manifest := newBlob(manifestType, content)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /v2/pause/manifests/testing", manifest)
	mux.Handle("GET /v2/pause/manifests/"+manifest.Digest, manifest)
	mux.Handle("GET /v2/pause/blobs/"+config.Digest, config)
	mux.Handle("GET /v2/pause/blobs/"+layer.Digest, layer)
	return mux, nil
}
