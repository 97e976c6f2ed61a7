package registry

import (
	"context"
	"encoding/binary"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.uber.org/zap/zaptest"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// server is a registry on a loopback address that counts its requests. Tests may replace its
// answers.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	instead  func(w http.ResponseWriter, r *http.Request) (answered bool)
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(s.handler())
	t.Cleanup(s.Close)
	return s
}

func (s *server) handler() http.Handler {
	real := ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		instead := s.instead
		s.mu.Unlock()
		if instead == nil || !instead(w, r) {
			real.ServeHTTP(w, r)
		}
	})
}

// host is the server's address.
func (s *server) host() string { return s.Listener.Addr().String() }

// answer makes fn answer the requests whose path contains part.
func (s *server) answer(part string, fn http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		fn(w, r)
		return true
	}
}

// count returns the number of requests since the last reset with this method and a path that
// contains part.
func (s *server) count(method, part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if strings.HasPrefix(r, method+" ") && strings.Contains(r, part) {
			n++
		}
	}
	return n
}

func (s *server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.instead = nil, nil
}

// push publishes the module as a CNCF artifact and returns its image ID.
func (s *server) push(t testing.TB, name string, module []byte) string {
	t.Helper()
	id, err := Push(t.Context(), s.host()+"/"+name, module, PushConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s.reset()
	return id
}

// pushAs publishes content with any media types.
func (s *server) pushAs(t testing.TB, name string, config, layer types.MediaType, content []byte) {
	t.Helper()
	img, err := newArtifact(config, []byte("{}"), layer, content)
	if err != nil {
		t.Fatal(err)
	}
	s.pushImage(t, name, img)
}

func (s *server) pushImage(t testing.TB, name string, img v1.Image) {
	t.Helper()
	ref, err := distribution.ParseReference(s.host()+"/"+name, distribution.NewHostPolicy(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref.Repo.Tag(ref.Tag), img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	s.reset()
}

func newStore(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "modules")
	}
	cfg.Log = zaptest.NewLogger(t)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// pulled is PullToRun without credentials.
func (s *Store) pulled(ctx context.Context, image string) (Module, error) {
	p, err := s.PullToRun(ctx, image, nil)
	return p.Module, err
}

// found is Lookup for a caller that may use all images.
func (s *Store) found(image string) (Module, bool, error) {
	return s.Lookup(context.Background(), image, nil)
}

// wasm makes a module with a custom section of the given size. Modules with different texts are
// different.
func wasm(text string, size int) []byte {
	section := append([]byte{1, 'x'}, text...)
	section = append(section, make([]byte, size)...)
	b := append([]byte(nil), manifest.ModulePreamble...)
	b = append(b, 0)
	b = binary.AppendUvarint(b, uint64(len(section)))
	return append(b, section...)
}

func digestOf(b []byte) string {
	h, _, err := v1.SHA256(strings.NewReader(string(b)))
	if err != nil {
		panic(err)
	}
	return h.String()
}

// checkModule compares a module with the expected bytes.
func checkModule(t testing.TB, m Module, want []byte) {
	t.Helper()
	got, err := os.ReadFile(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) || m.Size != int64(len(want)) || m.Digest != digestOf(want) || !filepath.IsAbs(m.Path) {
		t.Errorf("module %+v with %d bytes; want %d bytes of digest %s", m, len(got), len(want), digestOf(want))
	}
}

// partsOf are the files of blobs that were fetched only in part.
func partsOf(t testing.TB, s *Store) []string {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(s.blobs.dir, "*"+partSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

// checkAbsent checks that the store has nothing of the image: no record, no blob, and no other
// files except the part that a later pull may continue.
func checkAbsent(t testing.TB, s *Store, image string) {
	t.Helper()
	if _, present, err := s.found(image); present || err != nil {
		t.Errorf("Lookup(%s): present %v, %v", image, present, err)
	}
	for _, dir := range []string{s.blobs.dir, s.refs.dir, s.roots.dir} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), partSuffix) {
				continue
			}
			t.Errorf("left behind: %s", filepath.Join(dir, e.Name()))
		}
	}
}
