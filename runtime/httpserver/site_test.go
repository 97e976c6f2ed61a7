package httpserver

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// site is a server with a listener without TLS and one with.
type site struct {
	*Server
	addr, addrTLS string
	authority     *authority.Authority
	folder        string
	said          *lines
	handled       atomic.Int64
	records       chan Record
}

// lines are what a server says.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, text)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.all, "\n"), text)
}

func newSite(t testing.TB, settings runtime.HTTP, handler http.HandlerFunc) *site {
	t.Helper()
	return newSiteWith(t, settings, nil, handler)
}

// newSiteWith is newSite with memory for clients.
func newSiteWith(t testing.TB, settings runtime.HTTP, memory Memory, handler http.HandlerFunc) *site {
	t.Helper()
	s := &site{authority: authority.New(t, "ca"), folder: t.TempDir(), said: &lines{}, records: make(chan Record, 1000)}
	writePair(t, s.folder, s.authority.Sign(t, x509.ExtKeyUsageServerAuth, "server"))
	settings.Certificate = s.folder
	server, err := New(Config{
		Settings: settings,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.handled.Add(1)
			handler(w, r)
		}),
		ErrorLog: s.said.add,
		Memory:   memory,
		Record: func(r Record) {
			select {
			case s.records <- r:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = server
	t.Cleanup(server.Close)
	plain, encrypted := listenLoopback(t), listenLoopback(t)
	s.addr, s.addrTLS = plain.Addr().String(), encrypted.Addr().String()
	server.Serve(plain)
	server.ServeTLS(encrypted)
	return s
}

func listenLoopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func writePair(t testing.TB, folder string, pair *tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	writeFile(t, filepath.Join(folder, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

// writeFile replaces a file, so that it is another inode.
func writeFile(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// protocol is a way to speak to a site.
type protocol struct {
	name string
	set  func(*http.Protocols)
	tls  bool
}

var protocols = []protocol{
	{"HTTP/1.1", func(p *http.Protocols) { p.SetHTTP1(true) }, false},
	{"HTTP/1.1 over TLS", func(p *http.Protocols) { p.SetHTTP1(true) }, true},
	{"HTTP/2", func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, false},
	{"HTTP/2 over TLS", func(p *http.Protocols) { p.SetHTTP2(true) }, true},
}

func (p protocol) two() bool { return strings.HasPrefix(p.name, "HTTP/2") }

// client is one for a protocol, with the address to ask.
func (s *site) client(t testing.TB, p protocol) (*http.Client, string) {
	t.Helper()
	set := new(http.Protocols)
	p.set(set)
	transport := &http.Transport{
		Protocols: set, TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool()}, MaxIdleConnsPerHost: 100,
		ExpectContinueTimeout: eventually.Patience,
	}
	t.Cleanup(transport.CloseIdleConnections)
	url := "http://" + s.addr
	if p.tls {
		url = "https://" + s.addrTLS
	}
	return &http.Client{Transport: transport}, url
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "Sum")
	rc := http.NewResponseController(w)
	buffer := make([]byte, 1000)
	sum := 0
	for {
		n, err := r.Body.Read(buffer)
		if _, err := w.Write(buffer[:n]); err != nil {
			panic(http.ErrAbortHandler)
		}
		if err := rc.Flush(); err != nil {
			panic(http.ErrAbortHandler)
		}
		sum += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Sum", fmt.Sprint(sum, " ", r.Trailer.Get("Asked")))
}
