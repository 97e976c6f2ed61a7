package registry

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

func TestPullFormats(t *testing.T) {
	srv := newServer(t)
	module := wasm("hello", 100)
	component := append(bytes.Clone(manifest.ComponentPreamble), 0, 2, 1, 'x')
	for _, tt := range []struct {
		name          string
		config, layer types.MediaType
		content       []byte
	}{
		{"wasm-to-oci", "application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm", module},
		{"cncf", "application/vnd.wasm.config.v0+json", "application/wasm", module},
		{"oras", "application/vnd.oci.empty.v1+json", "application/wasm", module},
		{"runwasi", "application/vnd.oci.image.config.v1+json", "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm", module},
		{"wasmcloud", "application/vnd.wasmcloud.actor.archive.config", "application/vnd.module.wasm.content.layer.v1+wasm", module},
		{"component", "application/vnd.wasm.config.v0+json", "application/wasm", component},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv.pushAs(t, tt.name+":v1", tt.config, tt.layer, tt.content)
			image := srv.host() + "/" + tt.name + ":v1"
			s := newStore(t, Config{})
			m, err := s.pulled(t.Context(), image)
			if err != nil {
				t.Fatal(err)
			}
			checkModule(t, m, tt.content)
			if m.Image != image || !strings.HasPrefix(m.ImageID, srv.host()+"/"+tt.name+"@sha256:") {
				t.Errorf("image %q, id %q", m.Image, m.ImageID)
			}
			if want := tt.name == "component"; m.Component != want {
				t.Errorf("component: %v", m.Component)
			}
			found, present, err := s.found(image)
			if !present || err != nil || !reflect.DeepEqual(found, m) {
				t.Errorf("Lookup: %+v, %v, %v; want %+v", found, present, err, m)
			}
		})
	}
}

// docs/security.md: "A reference by digest gets exactly those bytes."
func TestPullByDigest(t *testing.T) {
	srv := newServer(t)
	module := wasm("pinned", 10)
	id := srv.push(t, "app:v1", module)
	srv.push(t, "app:v1", wasm("newer", 10))
	_, digest, _ := strings.Cut(id, "@")
	s := newStore(t, Config{})
	for _, image := range []string{id, srv.host() + "/app:v1@" + digest, srv.host() + "/app:never-there@" + digest} {
		m, err := s.pulled(t.Context(), image)
		if err != nil {
			t.Fatal(err)
		}
		checkModule(t, m, module)
		if m.ImageID != id || m.Image != image {
			t.Errorf("pulled %s: image %q, id %q; want %q", image, m.Image, m.ImageID, id)
		}
	}
}

func TestLookupByDigestAfterTag(t *testing.T) {
	srv := newServer(t)
	id := srv.push(t, "app", wasm("a", 10))
	s := newStore(t, Config{})
	checkAbsent(t, s, id)
	if _, err := s.pulled(t.Context(), srv.host()+"/app"); err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{id, srv.host() + "/app:latest"} {
		if m, present, err := s.found(image); !present || err != nil || m.Image != image {
			t.Errorf("Lookup(%s): %+v, %v, %v", image, m, present, err)
		}
	}
	// Another repository does not count as the same, even if it may hold the same image.
	other := strings.Replace(id, "/app@", "/other@", 1)
	if _, present, _ := s.found(other); present {
		t.Errorf("%s is present", other)
	}
}

func TestTagMoves(t *testing.T) {
	srv := newServer(t)
	image := srv.host() + "/app:v1"
	older, newer := wasm("older", 10), wasm("newer", 10)
	s := newStore(t, Config{})

	srv.push(t, "app:v1", older)
	if m, err := s.pulled(t.Context(), image); err != nil {
		t.Fatal(err)
	} else {
		checkModule(t, m, older)
	}
	srv.push(t, "app:v1", newer)
	if m, present, err := s.found(image); !present || err != nil {
		t.Fatal(present, err)
	} else {
		checkModule(t, m, older)
	}
	if n := len(srv.requests); n != 0 {
		t.Errorf("Lookup made %d requests", n)
	}
	if m, err := s.pulled(t.Context(), image); err != nil {
		t.Fatal(err)
	} else {
		checkModule(t, m, newer)
	}
	if m, present, err := s.found(image); !present || err != nil {
		t.Fatal(present, err)
	} else {
		checkModule(t, m, newer)
	}
}

func TestPullFetchesOnlyWhatIsMissing(t *testing.T) {
	srv := newServer(t)
	image := srv.host() + "/app:v1"
	module := wasm("same", 1000)
	srv.push(t, "app:v1", module)
	srv.push(t, "app:v2", module)
	s := newStore(t, Config{})
	for i, image := range []string{image, image, srv.host() + "/app:v2"} {
		srv.reset()
		if _, err := s.pulled(t.Context(), image); err != nil {
			t.Fatal(err)
		}
		if n := srv.count("GET", "/manifests/"); n != 1 {
			t.Errorf("pull %d asked for %d manifests", i, n)
		}
		if n, want := srv.count("GET", "/blobs/"), map[bool]int{true: 1}[i == 0]; n != want {
			t.Errorf("pull %d asked for %d blobs, want %d", i, n, want)
		}
	}
	// A store that is opened again has everything that it had before.
	again := newStore(t, Config{Dir: filepath.Dir(s.refs.dir)})
	if m, present, err := again.found(image); !present || err != nil {
		t.Errorf("after a restart: %v, %v", present, err)
	} else {
		checkModule(t, m, module)
	}
}

func TestDamageIsMended(t *testing.T) {
	srv := newServer(t)
	image := srv.host() + "/app:v1"
	module := wasm("whole", 1000)
	srv.push(t, "app:v1", module)
	for name, damage := range map[string]func(t *testing.T, s *Store, m Module) error{
		"blob gone":   func(_ *testing.T, _ *Store, m Module) error { return os.Remove(m.Path) },
		"blob cut":    func(_ *testing.T, _ *Store, m Module) error { return os.Truncate(m.Path, 100) },
		"blob empty":  func(_ *testing.T, _ *Store, m Module) error { return os.Truncate(m.Path, 0) },
		"record gone": func(_ *testing.T, s *Store, _ Module) error { return os.Remove(s.refs.path(image)) },
		"record empty": func(_ *testing.T, s *Store, _ Module) error {
			return os.WriteFile(s.refs.path(image), nil, 0o600)
		},
		"record of another": func(_ *testing.T, s *Store, _ Module) error {
			data, err := os.ReadFile(s.refs.path(image))
			if err != nil {
				return err
			}
			return os.WriteFile(s.refs.path(image), bytes.Replace(data, []byte("app:v1"), []byte("app:v9"), 1), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Config{})
			m, err := s.pulled(t.Context(), image)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(t, s, m); err != nil {
				t.Fatal(err)
			}
			if _, present, err := s.found(image); present || err != nil {
				t.Errorf("damaged: present %v, %v", present, err)
			}
			if m, err = s.pulled(t.Context(), image); err != nil {
				t.Fatal(err)
			}
			checkModule(t, m, module)
			if _, present, err := s.found(image); !present || err != nil {
				t.Errorf("mended: present %v, %v", present, err)
			}
		})
	}
}

func TestStoreFolder(t *testing.T) {
	srv := newServer(t)
	srv.push(t, "app", wasm("x", 1))
	s := newStore(t, Config{})
	if _, err := s.pulled(t.Context(), srv.host()+"/app"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(s.refs.dir)
	left := []string{filepath.Join(s.blobs.dir, tempPrefix+"1"), filepath.Join(s.refs.dir, tempPrefix+"2")}
	for _, path := range left {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newStore(t, Config{Dir: dir})
	for _, path := range left {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s survived", path)
		}
	}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a store without a folder")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: file}); err == nil {
		t.Error("a store in a file")
	}
}

func TestPullRefusesOtherImages(t *testing.T) {
	srv := newServer(t)
	layer := static.NewLayer([]byte("a tar, as it were"), types.DockerLayer)
	linux, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	linux, err = mutate.AppendLayers(linux, layer)
	if err != nil {
		t.Fatal(err)
	}
	srv.pushImage(t, "linux", linux)
	srv.pushAs(t, "helm", "application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", []byte("x"))
	srv.pushAs(t, "elf", manifest.ConfigType, manifest.LayerType, []byte("\x7fELF and so on"))
	srv.pushAs(t, "text", manifest.ConfigType, manifest.LayerType, []byte("(module)  ;; text"))
	srv.pushAs(t, "short", manifest.ConfigType, manifest.LayerType, []byte("\x00asm"))
	srv.pushAs(t, "future", manifest.ConfigType, manifest.LayerType, []byte("\x00asm\x02\x00\x00\x00"))
	for _, tt := range []struct {
		name string
		says []string
	}{
		{"linux", []string{"container image for linux/amd64", string(types.DockerLayer), "OCI artifact", string(manifest.LayerType), "platform wasip1/wasm"}},
		{"helm", []string{"helm.config", "OCI artifact"}},
		{"elf", []string{"ELF"}},
		{"text", []string{"text format"}},
		{"short", []string{"4 bytes"}},
		{"future", []string{"unknown version"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t, Config{})
			_, err := s.pulled(t.Context(), srv.host()+"/"+tt.name)
			errorcheck.Is(t, err, fault.ErrNotWasm, tt.says...)
			checkAbsent(t, s, srv.host()+"/"+tt.name)
		})
	}
}

// docs/security.md: "What a registry sends is not believed: manifests, configs and layers are
// checked against their digests and sizes"
// docs/security.md: "Modules are checked against their digest while they are fetched."
func TestPullHostileRegistry(t *testing.T) {
	module := wasm("honest", 5000)
	other := wasm("lying!", 5000)
	for _, tt := range []struct {
		name   string
		part   string
		answer http.HandlerFunc
		class  error
		says   []string
	}{
		{
			"other bytes", "/blobs/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(other) },
			fault.ErrDigestMismatch, []string{digestOf(module), digestOf(other)},
		},
		{
			"fewer bytes", "/blobs/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(module[:1000]) },
			fault.ErrDigestMismatch, []string{"1000 bytes"},
		},
		{
			"fewer bytes, length unsaid", "/blobs/",
			func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); _, _ = w.Write(module[:1000]) },
			fault.ErrDigestMismatch, []string{"after 1000 of"},
		},
		{
			"endless bytes", "/blobs/",
			func(w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				for _, err := w.Write(module); err == nil && r.Context().Err() == nil; {
					_, err = w.Write(make([]byte, 1<<16))
				}
			},
			fault.ErrDigestMismatch, []string{"larger than"},
		},
		{
			"connection cut", "/blobs/",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", strconv.Itoa(len(module)))
				_, _ = w.Write(module[:2000])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			},
			nil, []string{"unexpected EOF", "of " + strconv.Itoa(len(module)) + " bytes"},
		},
		{
			"no blob", "/blobs/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
			fault.ErrNotFound, []string{"404", digestOf(module)},
		},
		{
			"endless manifest", "/manifests/",
			func(w http.ResponseWriter, r *http.Request) {
				for err := error(nil); err == nil && r.Context().Err() == nil; {
					_, err = w.Write(bytes.Repeat([]byte(" "), 1<<16))
				}
			},
			fault.ErrTooLarge, []string{"manifest"},
		},
		{
			"manifest of HTML", "/manifests/",
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>\n<body>hello\n") },
			fault.ErrNotWasm, []string{"manifest cannot be read"},
		},
		{
			"manifest with a huge module", "/manifests/",
			func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `{"config":{"mediaType":%q},"layers":[{"mediaType":%q,"size":1000001,"digest":%q}]}`,
					manifest.ConfigType, manifest.LayerType, digestOf(module))
			},
			fault.ErrTooLarge, []string{"1000001", "1000000"},
		},
		{
			"manifest with a wrong size", "/manifests/",
			func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `{"config":{"mediaType":%q},"layers":[{"mediaType":%q,"size":20,"digest":%q}]}`,
					manifest.ConfigType, manifest.LayerType, digestOf(module))
			},
			fault.ErrDigestMismatch, []string{"manifest says 20"},
		},
		{
			"unauthorized", "/v2/",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who\nare you"}]}`)
			},
			fault.ErrUnauthorized, []string{"401", "who are you"},
		},
		{
			"forbidden", "/manifests/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no\nno", http.StatusForbidden) },
			fault.ErrUnauthorized, []string{"403"},
		},
		{
			"server error", "/manifests/",
			func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, strings.Repeat("<html>\n", 1000), http.StatusInternalServerError)
			},
			nil, []string{"500"},
		},
		{
			"no registry", "/v2/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
			nil, []string{"is no registry"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t)
			srv.push(t, "app:v1", module)
			srv.answer(tt.part, tt.answer)
			s := newStore(t, Config{MaxModuleSize: 1_000_000})
			image := srv.host() + "/app:v1"
			_, err := s.pulled(t.Context(), image)
			errorcheck.Is(t, err, tt.class, tt.says...)
			checkAbsent(t, s, image)
			if parts := partsOf(t, s); tt.class != nil && len(parts) > 0 {
				t.Errorf("left behind: %v", parts)
			}
			// The registry now gives correct answers.
			srv.reset()
			if _, err := s.pulled(t.Context(), image); err != nil {
				t.Errorf("after the failure: %v", err)
			}
		})
	}
}

func TestPullWrongManifestForDigest(t *testing.T) {
	srv := newServer(t)
	id := srv.push(t, "app:v1", wasm("a", 1))
	srv.answer("/manifests/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	s := newStore(t, Config{})
	_, err := s.pulled(t.Context(), id)
	errorcheck.Is(t, err, fault.ErrDigestMismatch, "manifest")
	checkAbsent(t, s, id)
}

func TestPullNotFound(t *testing.T) {
	srv := newServer(t)
	srv.push(t, "app:v1", wasm("a", 1))
	s := newStore(t, Config{})
	for _, image := range []string{srv.host() + "/app:v2", srv.host() + "/none:v1"} {
		_, err := s.pulled(t.Context(), image)
		errorcheck.Is(t, err, fault.ErrNotFound, srv.host(), "404")
		checkAbsent(t, s, image)
	}
}

// docs/security.md: "sizes, and [bounded](images.md#limits)"
func TestPullTooLarge(t *testing.T) {
	srv := newServer(t)
	srv.push(t, "app:v1", wasm("a", 2000))
	s := newStore(t, Config{MaxModuleSize: 1000})
	_, err := s.pulled(t.Context(), srv.host()+"/app:v1")
	errorcheck.Is(t, err, fault.ErrTooLarge, "1000")
	if n := srv.count("GET", "/blobs/"); n != 0 {
		t.Errorf("asked for %d blobs", n)
	}
}

func TestPullUnreachable(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	host := srv.Listener.Addr().String()
	srv.Close()
	s := newStore(t, Config{})
	_, err := s.pulled(t.Context(), host+"/app:v1")
	errorcheck.Is(t, err, nil, host, "connection refused")
}

func TestPullStalls(t *testing.T) {
	srv := newServer(t)
	module := wasm("slow", 5000)
	srv.push(t, "app:v1", module)
	srv.answer("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(module)))
		_, _ = w.Write(module[:100])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	s := newStore(t, Config{})
	s.stall = time.Second // a busy machine answers the requests before within this
	_, err := s.pulled(t.Context(), srv.host()+"/app:v1")
	errorcheck.Is(t, err, distribution.ErrStalled, "after 100 of")
	checkAbsent(t, s, srv.host()+"/app:v1")
}
