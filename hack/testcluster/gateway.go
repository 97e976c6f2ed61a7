package testcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Gateway is an HTTP proxy before the API server, for tests of wrong answers. The cluster's
// authority signs its certificate. A client with a client certificate of that authority is passed
// on as that user. A token is passed on unchanged. The gateway ends with its test. Several
// goroutines may call its methods at the same time.
type Gateway struct {
	server *httptest.Server
	fault  atomic.Pointer[Fault]
	served atomic.Int64
}

// Fault answers a request in place of the API server. It returns false for a request that the
// gateway must pass on.
type Fault func(w http.ResponseWriter, r *http.Request) (answered bool)

// Gateway starts a gateway on a free port of 127.0.0.1.
func (c *Cluster) Gateway(t testing.TB) *Gateway {
	t.Helper()
	authority, err := tls.LoadX509KeyPair(filepath.Join(c.dir, "pki", "ca.crt"), filepath.Join(c.dir, "pki", "ca.key"))
	if err != nil {
		t.Fatalf("testcluster: the cluster's authority: %v", err)
	}
	g := &Gateway{}
	asAdmin, err := rest.TransportFor(c.config)
	if err != nil {
		t.Fatalf("testcluster: a way to the API server: %v", err)
	}
	anonymous, err := rest.TransportFor(rest.AnonymousClientConfig(c.config))
	if err != nil {
		t.Fatalf("testcluster: a way to the API server: %v", err)
	}
	target, err := url.Parse(c.config.Host)
	if err != nil {
		t.Fatalf("testcluster: the API server's address: %v", err)
	}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1, // watches
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); passUser(r) },
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Impersonate-User") != "" {
				return asAdmin.RoundTrip(r)
			}
			return anonymous.RoundTrip(r)
		}),
	}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.served.Add(1)
		if fault := g.fault.Load(); fault != nil && (*fault)(w, r) {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	clients := x509.NewCertPool()
	clients.AddCert(authority.Leaf)
	g.server.TLS = &tls.Config{
		Certificates: []tls.Certificate{gatewayCertificate(t, authority)},
		ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: clients,
	}
	g.server.EnableHTTP2 = true
	g.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.server.StartTLS()
	t.Cleanup(g.server.Close)
	t.Cleanup(g.server.CloseClientConnections)
	return g
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// passUser lets the administrator act as the user of a client certificate.
func passUser(r *httputil.ProxyRequest) {
	if state := r.In.TLS; state != nil && len(state.PeerCertificates) > 0 {
		subject := state.PeerCertificates[0].Subject
		r.Out.Header.Set("Impersonate-User", subject.CommonName)
		r.Out.Header["Impersonate-Group"] = subject.Organization
	}
}

func gatewayCertificate(t testing.TB, authority tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("testcluster: a key: %v", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "gateway"},
		NotBefore:    time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, authority.Leaf, key.Public(), authority.PrivateKey)
	if err != nil {
		t.Fatalf("testcluster: a certificate: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// URL is the gateway's address: https://127.0.0.1:PORT.
func (g *Gateway) URL() string { return g.server.URL }

// Kubeconfig writes a kubeconfig for the cluster's administrator that leads to the gateway, and
// returns its path.
func (g *Gateway) Kubeconfig(t testing.TB, c *Cluster) string {
	t.Helper()
	raw, err := clientcmd.LoadFromFile(c.kubeconfig)
	if err == nil {
		err = clientcmdapi.FlattenConfig(raw)
	}
	path := filepath.Join(t.TempDir(), "gateway.kubeconfig")
	if err == nil {
		for _, cluster := range raw.Clusters {
			cluster.Server = g.URL()
		}
		err = clientcmd.WriteToFile(*raw, path)
	}
	if err != nil {
		t.Fatalf("testcluster: a kubeconfig for a gateway: %v", err)
	}
	return path
}

// Break lets fault answer requests from now on. It also closes all connections, so that running
// watches get the fault too.
func (g *Gateway) Break(fault Fault) {
	g.fault.Store(&fault)
	g.server.CloseClientConnections()
}

// Mend makes the gateway pass on all requests again.
func (g *Gateway) Mend() { g.fault.Store(nil) }

// Served is how many requests the gateway has had.
func (g *Gateway) Served() int64 { return g.served.Load() }
