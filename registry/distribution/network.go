package distribution

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// endpoint is a server that has a registry's content: the registry itself, or a mirror of it.
type endpoint struct {
	Registry      name.Registry // address and scheme
	pull, resolve bool          // whether it may be asked for digests, and for tags
	Transport     http.RoundTripper
}

// Network knows the servers of each registry, and how to connect to them.
type Network struct {
	policy HostPolicy
	roots  *x509.CertPool
	dir    string // of folders with hosts.toml; may be empty
	agent  string
	Usual  http.RoundTripper // for registries without a folder

	mu    sync.Mutex
	known map[string]configured   // by registry
	sent  map[addressKind]*sentOn // for hosts that such registries name, by the registries' kind
}

// configured is what was read from a registry's folder.
type configured struct {
	stamp     [sha256.Size]byte // hash of all that was read
	endpoints []endpoint
	close     func()
}

// NewNetwork reads the certificate authorities that are trusted in addition to the system's.
func NewNetwork(policy HostPolicy, authorities []string, dir, agent string) (*Network, error) {
	n := &Network{policy: policy, dir: dir, agent: agent, known: map[string]configured{}, sent: map[addressKind]*sentOn{}}
	if len(authorities) > 0 {
		var err error
		if n.roots, err = trusted(nil, authorities); err != nil {
			return nil, err
		}
	}
	n.Usual = newPolicyTransport(policy, &tls.Config{RootCAs: n.roots}, newDialer())
	return n, nil
}

// trusted adds authorities from PEM files to a pool; a nil pool means the system's.
func trusted(pool *x509.CertPool, files []string) (*x509.CertPool, error) {
	if pool == nil {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool() // this machine has none
		}
	} else {
		pool = pool.Clone()
	}
	for _, file := range files {
		data, err := readSmall(file)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate authorities of registries: %w", err)
		}
		if !pool.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("certificate authorities of registries: %s holds no PEM certificate", file)
		}
	}
	return pool, nil
}

// Endpoints are the servers that have a registry's content, in the order in which they are tried.
// The folders are read each time, so a change takes effect at once.
func (n *Network) Endpoints(registry name.Registry) ([]endpoint, error) {
	itself := []endpoint{{Registry: registry, pull: true, resolve: true, Transport: n.plainly(registry)}}
	host := registryName(registry)
	dir, data, err := n.folder(host)
	if err != nil {
		return nil, fault.New(nil, err, "configuration of registry %s: %v", host, err)
	}
	if dir == "" {
		return itself, nil
	}
	settings, err := parseHosts(dir, data)
	if err != nil {
		return nil, fault.New(nil, err, "configuration of registry %s: %s: %v", host, filepath.Join(dir, "hosts.toml"), err)
	}
	stamp := stampOf(data, settings)
	n.mu.Lock()
	defer n.mu.Unlock()
	old, seen := n.known[host]
	if seen && old.stamp == stamp {
		return old.endpoints, nil
	}
	now := configured{stamp: stamp}
	var transports []*http.Transport
	for _, s := range settings {
		e, t, err := n.configure(registry, host, s)
		if err != nil {
			return nil, fault.New(nil, err, "configuration of registry %s: %s: %v", host, filepath.Join(dir, "hosts.toml"), err)
		}
		now.endpoints, transports = append(now.endpoints, e), append(transports, t...)
	}
	now.close = func() {
		for _, t := range transports {
			t.CloseIdleConnections()
		}
	}
	if seen {
		old.close()
	}
	n.known[host] = now
	return now.endpoints, nil
}

// plainly is the transport for a registry without a folder.
func (n *Network) plainly(registry name.Registry) http.RoundTripper {
	host := registry.RegistryStr()
	kind := kindOfHost(host)
	n.mu.Lock()
	defer n.mu.Unlock()
	others, made := n.sent[kind]
	if !made {
		others = newSentOn(n.policy, &tls.Config{RootCAs: n.roots}, kind)
		n.sent[kind] = others
	}
	return newTransport(&hostTransport{host: host, path: "/v2", own: n.Usual, ports: n.Usual, others: others}, n.agent)
}

// folder finds the folder for a registry, and reads its hosts.toml.
func (n *Network) folder(host string) (dir string, data []byte, err error) {
	if n.dir == "" {
		return "", nil, nil
	}
	folders := []string{host, "_default"}
	if i := strings.LastIndexByte(host, ':'); i > 0 {
		// Some file systems do not allow a colon. containerd adds an underscore at the end too.
		plain := host[:i] + "_" + host[i+1:]
		folders = []string{plain + "_", plain, host, "_default"}
	}
	for _, f := range folders {
		dir := filepath.Join(n.dir, f)
		data, err := readSmall(filepath.Join(dir, "hosts.toml"))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return dir, data, err
		}
	}
	return "", nil, nil
}

// stampOf changes when a file changes from which endpoints are made. It ignores a file that cannot
// be read, because using that file fails later.
func stampOf(data []byte, settings []hostSettings) [sha256.Size]byte {
	var all bytes.Buffer
	add := func(b []byte) { _, _ = fmt.Fprintf(&all, "%d\n%s", len(b), b) }
	add(data)
	for _, s := range settings {
		files := slices.Clone(s.authorities)
		for _, pair := range s.clients {
			files = append(files, pair[0], pair[1])
		}
		for _, f := range files {
			content, _ := readSmall(f)
			add(content)
		}
	}
	return sha256.Sum256(all.Bytes())
}

// configure makes an endpoint from its settings.
func (n *Network) configure(registry name.Registry, host string, s hostSettings) (_ endpoint, opened []*http.Transport, err error) {
	config := &tls.Config{RootCAs: n.roots}
	if len(s.authorities) > 0 {
		if config.RootCAs, err = trusted(n.roots, s.authorities); err != nil {
			return endpoint{}, nil, err
		}
	}
	// The endpoint may send us to another host, such as a token server or a blob server. That host
	// does not get the endpoint's certificates and headers.
	at := registry.RegistryStr()
	if s.url != nil {
		at = s.url.Host
	}
	ports := newPolicyTransport(n.policy, config.Clone(), newDialer())
	others := newSentOn(n.policy, config.Clone(), kindOfHost(at))
	for _, pair := range s.clients {
		certificate, err := clientCertificate(pair)
		if err != nil {
			return endpoint{}, nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		config.Certificates = append(config.Certificates, certificate)
	}
	// The operator may turn verification off for single hosts. A registry for which plain HTTP is
	// allowed needs no valid certificate, unless the settings name an authority for it.
	config.InsecureSkipVerify = s.skipVerify || s.url == nil && len(s.authorities) == 0 && n.policy.plain(registry.RegistryStr())
	dialer := newDialer()
	dialer.Timeout = cmp.Or(s.dialTimeout, dialer.Timeout)
	own := newConnections(config, dialer)
	opened = append(append(others.connections(), ports.connections()...), own)
	spoken, t := registry, &hostTransport{host: registry.RegistryStr(), path: "/v2", header: s.header, own: own, ports: ports, others: others}
	if at := s.url; at != nil {
		var options []name.Option
		if at.Scheme == "http" {
			options = append(options, name.Insecure)
		}
		if spoken, err = name.NewRegistry(at.Host, options...); err != nil {
			return endpoint{}, nil, err
		}
		t.scheme, t.host, t.path = at.Scheme, at.Host, at.Path
		if t.host != registry.RegistryStr() {
			t.namespace = host
		}
	} else if !n.policy.plain(t.host) {
		t.scheme = "https"
	}
	return endpoint{Registry: spoken, pull: s.pull, resolve: s.resolve, Transport: newTransport(t, n.agent)}, opened, nil
}

// clientCertificate reads a certificate, and its key.
func clientCertificate(pair [2]string) (tls.Certificate, error) {
	var pem [2][]byte
	for i, file := range pair {
		var err error
		if pem[i], err = readSmall(file); err != nil {
			return tls.Certificate{}, err
		}
	}
	certificate, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(slices.Compact(pair[:]), " and "), err)
	}
	return certificate, err
}

// maxSettingsFile bounds a file of a registry's settings, in bytes.
const maxSettingsFile = 1 << 20

// readSmall reads a file of a registry's settings.
func readSmall(path string) ([]byte, error) { return credentials.ReadFile(path, maxSettingsFile) }

// hostTransport uses a host's settings for that host, and the policy for other hosts.
type hostTransport struct {
	scheme    string // empty: any
	host      string
	path      string // instead of /v2
	namespace string // the registry that a mirror stands for; empty for the registry itself
	header    http.Header
	own       http.RoundTripper
	ports     http.RoundTripper // for other ports of the host
	others    http.RoundTripper // for other hosts that this one names
}

func (t *hostTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case downgraded(req):
		return nil, fault.New(nil, nil, "registry %s sends this node on from TLS to plain HTTP at %.100s, which is not followed", t.host, req.URL.Host)
	case strings.EqualFold(req.URL.Host, t.host):
	case hostname(req.URL.Host) == hostname(t.host):
		return t.ports.RoundTrip(req)
	default:
		return t.others.RoundTrip(req)
	}
	if t.scheme != "" && req.URL.Scheme != t.scheme {
		return nil, fault.New(nil, nil, "registry %s must be asked by %s", t.host, t.scheme)
	}
	req = req.Clone(req.Context())
	for name, values := range t.header {
		req.Header[name] = values
	}
	if rest, is := strings.CutPrefix(req.URL.Path, "/v2/"); is {
		if t.path != "/v2" {
			req.URL.Path, req.URL.RawPath = t.path+"/"+rest, ""
		}
		if t.namespace != "" {
			query := req.URL.Query()
			query.Set("ns", t.namespace)
			req.URL.RawQuery = query.Encode()
		}
	}
	return t.own.RoundTrip(req)
}
