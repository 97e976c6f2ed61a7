package registry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

func TestPullOverTLS(t *testing.T) {
	// The server is on a loopback address, for which no certificate is verified.
	srv := &server{}
	srv.Server = httptest.NewTLSServer(srv.handler())
	t.Cleanup(srv.Close)
	module := wasm("tls", 10)
	srv.push(t, "app:v1", module)
	m, err := newStore(t, Config{}).pulled(t.Context(), srv.host()+"/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, m, module)
}

// directTransport sends every request to one server. The host in the request does not matter.
type directTransport struct {
	inner *http.Transport
	host  string
}

func (d directTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Host, req.URL.Host = req.URL.Host, d.host
	return d.inner.RoundTrip(req)
}

// docs/security.md: "`--insecure-registries` gives up both encryption and verification for the
// hosts it names"
func TestPlainHTTPNeedsLeave(t *testing.T) {
	srv := newServer(t)
	module := wasm("plain", 10)
	srv.push(t, "app:v1", module)
	for _, tt := range []struct {
		image    string
		insecure []string
		allowed  bool
	}{
		{"registry.example/app:v1", nil, false},
		{"registry.example/app:v1", []string{"registry.example"}, true},
		{"registry.example:5000/app:v1", []string{"registry.example"}, true},
		{"registry.example:5000/app:v1", []string{"registry.example:5000"}, true},
		{"registry.example:5001/app:v1", []string{"registry.example:5000"}, false},
		{"10.1.2.3:5000/app:v1", nil, false}, // the library would allow it
		{"10.1.2.3:5000/app:v1", []string{"10.1.2.3"}, true},
	} {
		srv.reset()
		s := newStore(t, Config{InsecureRegistries: tt.insecure})
		direct := directTransport{inner: &http.Transport{}, host: srv.host()}
		s.network.Usual = &distribution.PolicyTransport{Policy: s.hosts, Verified: direct, Lenient: direct}
		m, err := s.pulled(t.Context(), tt.image)
		if tt.allowed {
			if err != nil {
				t.Errorf("%s with %v: %v", tt.image, tt.insecure, err)
				continue
			}
			checkModule(t, m, module)
			continue
		}
		errorcheck.Is(t, err, nil)
		if len(srv.requests) != 0 {
			t.Errorf("%s with %v: requests %v", tt.image, tt.insecure, srv.requests)
		}
	}
}

// password is one credential for all images.
type password struct{}

func (password) Lookup(context.Context, string) ([]credentials.Credential, error) {
	return []credentials.Credential{{Username: "me", Password: "secret"}}, nil
}

// docs/security.md: "A redirect to another host and a mirror never get a registry's credentials."
// docs/security.md: "unless the registry itself is there"
// docs/security.md: "A registry that an image's reference names is spoken to wherever it is."
func TestRedirectCarriesNoCredentials(t *testing.T) {
	srv := newServer(t)
	module := wasm("elsewhere", 10)
	srv.push(t, "app:v1", module)
	var mu sync.Mutex
	var leaked []string
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		leaked = append(leaked, r.Header.Get("Authorization"))
		mu.Unlock()
		_, _ = w.Write(module)
	}))
	t.Cleanup(cdn.Close)
	srv.mu.Lock()
	srv.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, cdn.URL+"/x?signature=secret", http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	srv.mu.Unlock()

	s := newStore(t, Config{})
	_, err := s.pulled(t.Context(), srv.host()+"/app:v1")
	errorcheck.Is(t, err, fault.ErrUnauthorized, srv.host())
	m, err := s.Pull(t.Context(), srv.host()+"/app:v1", password{})
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, m.Module, module)
	if len(leaked) != 1 || leaked[0] != "" {
		t.Errorf("redirected with credentials %q", leaked)
	}

	// If the other host fails, its signed address is not shown.
	cdn.Close()
	s = newStore(t, Config{Dir: filepath.Join(t.TempDir(), "m")})
	_, err = s.Pull(t.Context(), srv.host()+"/app:v1", password{})
	errorcheck.Is(t, err, nil, "connection refused")
	if strings.Contains(err.Error(), "signature") {
		t.Errorf("error shows the signature: %v", err)
	}
}
