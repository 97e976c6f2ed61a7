package registry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
)

// hostsDir writes a hosts.toml for a registry, and returns the folder above it.
func hostsDir(t *testing.T, folder, content string) string {
	t.Helper()
	dir := t.TempDir()
	writeHosts(t, dir, folder, content)
	return dir
}

func writeHosts(t *testing.T, dir, folder, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, folder, "hosts.toml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMirrors(t *testing.T) {
	module, other := wasm("wanted", 100), wasm("other", 100)
	upstream, mirror := newServer(t), newServer(t)
	upstream.push(t, "team/app:v1", module)
	mirror.push(t, "team/app:v1", module)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	away := closed.URL
	for name, tt := range map[string]struct {
		hosts              string // with UP, MIRROR and AWAY for the addresses
		mirrored, upstream int    // number of requested manifests
		fails              string
	}{
		"the mirror has it":             {"server = 'UP'\n[host.'MIRROR']\n", 1, 0, ""},
		"the mirror is away":            {"server = 'UP'\n[host.'AWAY']\n", 0, 1, ""},
		"in the order of the file":      {"server = 'UP'\n[host.'AWAY']\n[host.'MIRROR']\n", 1, 0, ""},
		"the mirror has other things":   {"server = 'UP'\n[host.'MIRROR/elsewhere']\n", 0, 1, ""},
		"a mirror that only pulls":      {"server = 'UP'\n[host.'MIRROR']\ncapabilities = ['pull']\n", 0, 1, ""},
		"only resolves":                 {"server = 'UP'\n[host.'MIRROR']\ncapabilities = ['resolve']\n", 1, 0, ""},
		"no server":                     {"server = 'MIRROR'\n", 1, 0, ""},
		"all are away":                  {"server = 'AWAY'\n[host.'AWAY/x']\n", 0, 0, "before that"},
		"none may":                      {"server = 'UP'\ncapabilities = ['push']\n", 0, 0, "capability"},
		"what is no TOML":               {"server = \n", 0, 0, "hosts.toml"},
		"a capability that there is no": {"capabilities = ['fly']\n", 0, 0, "fly"},
		"a server that is none":         {"server = 'ftp://x'\n", 0, 0, "https://HOST"},
		"a missing authority":           {"server = 'UP'\nca = 'none.pem'\n", 0, 0, "none.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			upstream.reset()
			mirror.reset()
			hosts := strings.NewReplacer("UP", upstream.URL, "MIRROR", mirror.URL, "AWAY", away).Replace(tt.hosts)
			s := newStore(t, Config{HostsDir: hostsDir(t, "registry.example", hosts)})
			m, err := s.pulled(t.Context(), "registry.example/team/app:v1")
			if tt.fails != "" {
				errorcheck.Is(t, err, nil, tt.fails)
			} else if err != nil {
				t.Fatal(err)
			} else {
				checkModule(t, m, module)
				if !strings.HasPrefix(m.ImageID, "registry.example/team/app@sha256:") {
					t.Errorf("image ID %s", m.ImageID)
				}
			}
			if a, b := mirror.count("GET", "/team/app/manifests/"), upstream.count("GET", "/team/app/manifests/"); a != tt.mirrored || b != tt.upstream {
				t.Errorf("the mirror was asked %d times and the registry %d times", a, b)
			}
		})
	}
	t.Run("a mirror that lies", func(t *testing.T) {
		upstream.reset()
		mirror.answer("/blobs/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(other) })
		s := newStore(t, Config{HostsDir: hostsDir(t, "registry.example", fmt.Sprintf("server = %q\n[host.%q]\n", upstream.URL, mirror.URL))})
		m, err := s.pulled(t.Context(), "registry.example/team/app:v1")
		if err != nil {
			t.Fatal(err)
		}
		checkModule(t, m, module)
	})
}

func TestHostFolders(t *testing.T) {
	srv := newServer(t)
	srv.push(t, "app:v1", wasm("x", 10))
	content := fmt.Sprintf("server = %q\n", srv.URL)
	for _, tt := range []struct{ folder, image string }{
		{"registry.example", "registry.example/app:v1"},
		{"registry.example:5000", "registry.example:5000/app:v1"},
		{"registry.example_5000_", "registry.example:5000/app:v1"},
		{"registry.example_5000", "registry.example:5000/app:v1"},
		{"_default", "registry.example/app:v1"},
		{"_default", "registry.example:5000/app:v1"},
	} {
		s := newStore(t, Config{HostsDir: hostsDir(t, tt.folder, content)})
		if _, err := s.pulled(t.Context(), tt.image); err != nil {
			t.Errorf("%s: %v", tt.folder, err)
		}
	}
	// The settings for one registry have priority over those for all registries. A change takes
	// effect at once.
	dir := hostsDir(t, "_default", "server = 'http://127.0.0.1:1'\n")
	s := newStore(t, Config{HostsDir: dir})
	_, err := s.pulled(t.Context(), "registry.example/app:v1")
	errorcheck.Is(t, err, nil, "127.0.0.1:1")
	writeHosts(t, dir, "registry.example", content)
	if _, err := s.pulled(t.Context(), "registry.example/app:v1"); err != nil {
		t.Error(err)
	}
	writeHosts(t, dir, "registry.example", "server = 'http://127.0.0.1:2'\n")
	_, err = s.pulled(t.Context(), "registry.example/app:v1")
	errorcheck.Is(t, err, nil, "127.0.0.1:2")
}

func TestMirrorIsToldWhatItMirrors(t *testing.T) {
	srv := newServer(t)
	srv.push(t, "app:v1", wasm("x", 10))
	var asked []string
	srv.mu.Lock()
	srv.instead = func(_ http.ResponseWriter, r *http.Request) bool {
		asked = append(asked, r.URL.RequestURI()+" "+r.Header.Get("X-Team"))
		r.URL.Path = strings.Replace(r.URL.Path, "/proxy/hub", "", 1)
		return false
	}
	srv.mu.Unlock()
	for hosts, want := range map[string]string{
		"[host.'URL/proxy/hub']\nheader = {x-team = 'red'}\n":     "/proxy/hub/v2/app/manifests/v1?ns=registry.example red",
		"[host.'URL/proxy/hub/v2']\n[host.'URL/x'.header]\n":      "/proxy/hub/v2/app/manifests/v1?ns=registry.example ",
		"[host.'URL/proxy/hub/v2']\noverride_path = true\n":       "/proxy/hub/v2/app/manifests/v1?ns=registry.example ",
		"[host.'URL/proxy/hub/v2/']\nheader = {X-Team = ['a']}\n": "/proxy/hub/v2/app/manifests/v1?ns=registry.example a",
	} {
		asked = nil
		s := newStore(t, Config{HostsDir: hostsDir(t, "registry.example", "server = 'http://127.0.0.1:1'\n"+strings.ReplaceAll(hosts, "URL", srv.URL))})
		if _, err := s.pulled(t.Context(), "registry.example/app:v1"); err != nil {
			t.Errorf("%s: %v", hosts, err)
		}
		if !strings.Contains(strings.Join(asked, "\n"), want) {
			t.Errorf("%s: asked for %q, want %q", hosts, asked, want)
		}
	}
}

// authority signs certificates.
type authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sign makes a certificate for 127.0.0.1, for servers and clients, and writes it and its key to
// files.
func (a *authority) sign(t *testing.T) (_ tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "someone"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certFile, keyFile
}

// docs/security.md: "A tag gets what the registry says, over TLS, with certificates verified."
func TestCertificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	certificate, certFile, keyFile := ca.sign(t)
	_, strangeCert, strangeKey := stranger.sign(t)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	module := wasm("tls", 10)
	for name, tt := range map[string]struct {
		mutual      bool
		hosts       string
		authorities []string
		ok          bool
	}{
		"unknown authority":        {false, "", nil, false},
		"its authority":            {false, "ca = 'CA'", nil, true},
		"its authority in a list":  {false, "ca = ['STRANGE', 'CA']", nil, true},
		"another authority":        {false, "ca = 'STRANGE'", nil, false},
		"the node's authorities":   {false, "", []string{ca.file}, true},
		"the node's and others":    {false, "ca = 'STRANGE'", []string{ca.file}, true},
		"not verified":             {false, "skip_verify = true", nil, true},
		"no client certificate":    {true, "ca = 'CA'", nil, false},
		"a client certificate":     {true, "ca = 'CA'\nclient = [['CERT', 'KEY']]", nil, true},
		"a stranger's certificate": {true, "ca = 'CA'\nclient = [['SCERT', 'SKEY']]", nil, false},
		"half a pair":              {true, "ca = 'CA'\nclient = 'CERT'", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &server{}
			srv.Server = httptest.NewUnstartedServer(srv.handler())
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			if tt.mutual {
				srv.TLS.ClientAuth, srv.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients
			}
			srv.StartTLS()
			t.Cleanup(srv.Close)
			all := fmt.Sprintf("server = %q\nca = %q\nclient = [[%q, %q]]\n", srv.URL, ca.file, certFile, keyFile)
			_, err := Push(t.Context(), srv.host()+"/app:v1", module, PushConfig{HostsDir: hostsDir(t, srv.host(), all)})
			if err != nil {
				t.Fatal(err)
			}
			settings := strings.NewReplacer("SCERT", strangeCert, "SKEY", strangeKey, "STRANGE", stranger.file,
				"CERT", certFile, "KEY", keyFile, "CA", ca.file).Replace(tt.hosts)
			s := newStore(t, Config{
				HostsDir:    hostsDir(t, "registry.example", fmt.Sprintf("server = %q\n%s\n", srv.URL, settings)),
				Authorities: tt.authorities,
			})
			m, err := s.pulled(t.Context(), "registry.example/app:v1")
			if !tt.ok {
				errorcheck.Is(t, err, nil)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkModule(t, m, module)
		})
	}
	if _, err := New(Config{Dir: t.TempDir(), Authorities: []string{keyFile}}); err == nil {
		t.Error("a key is taken for an authority")
	}
}

// byPlace has a password for each registry or mirror, and notes what it was asked.
type byPlace map[string]string

func (b byPlace) Lookup(_ context.Context, image string) ([]credentials.Credential, error) {
	if password, ok := b[image]; ok {
		return []credentials.Credential{{Username: "me", Password: password}}, nil
	}
	return nil, nil
}

// docs/security.md: "A redirect to another host and a mirror never get a registry's credentials."
func TestMirrorGetsItsOwnCredentials(t *testing.T) {
	mirror, upstream := guarded(t, "mirror's"), guarded(t, "registry's")
	var shown []string
	for _, srv := range []*server{mirror, upstream} {
		srv.mu.Lock()
		check := srv.instead
		srv.instead = func(w http.ResponseWriter, r *http.Request) bool {
			if _, password, ok := r.BasicAuth(); ok {
				shown = append(shown, srv.host()+" "+password)
			}
			return check(w, r)
		}
		srv.mu.Unlock()
	}
	hosts := fmt.Sprintf("server = %q\n[host.%q]\n", upstream.URL, mirror.URL)
	for _, k := range []byPlace{
		{mirror.host() + "/app": "mirror's", upstream.host() + "/app": "registry's"},
		{upstream.host() + "/app": "registry's"},
	} {
		s := newStore(t, Config{HostsDir: hostsDir(t, "registry.example", hosts)})
		if _, err := s.Pull(t.Context(), "registry.example/app", k); err != nil {
			t.Error(err)
		}
	}
	for _, s := range shown {
		if s != mirror.host()+" mirror's" && s != upstream.host()+" registry's" {
			t.Errorf("shown to %s", s)
		}
	}
}

func TestRateLimitIsHonoured(t *testing.T) {
	srv := newServer(t)
	module := wasm("limited", 10)
	srv.push(t, "app:v1", module)
	tooMany := true
	srv.mu.Lock()
	srv.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if !tooMany || !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		tooMany = false
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	srv.mu.Unlock()
	began := time.Now()
	m, err := newStore(t, Config{}).pulled(t.Context(), srv.host()+"/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, m, module)
	if time.Since(began) < time.Second {
		t.Error("the registry asked to wait for a second")
	}
}
