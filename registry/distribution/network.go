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

// endpoint is an address that has a registry's content: the registry itself, or a mirror of it.
type endpoint struct {
	Registry      name.Registry // how it is spoken to
	pull, resolve bool          // digests may be asked for, tags may
	Transport     http.RoundTripper
}

// Network knows where registries are, and how each is spoken to.
type Network struct {
	policy HostPolicy
	roots  *x509.CertPool
	dir    string // of folders with hosts.toml; may be empty
	agent  string
	Usual  http.RoundTripper // for registries without a folder

	mu    sync.Mutex
	known map[string]configured   // by registry
	sent  map[addressKind]*sentOn // for those to whom such registries send us, by the registries' kind
}

// configured is what was read of a registry's folder.
type configured struct {
	stamp     [sha256.Size]byte // of all that was read
	endpoints []endpoint
	close     func()
}

// NewNetwork reads the authorities that are trusted beside the system's.
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

// trusted adds authorities, files of PEM, to a pool; nil is the system's.
func trusted(pool *x509.CertPool, files []string) (*x509.CertPool, error) {
	if pool == nil {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool() // a machine without any
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

// Endpoints are the addresses that have a registry's content, in the order in which they are
// tried. Folders are read each time, so that a change counts at once.
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

// plainly speaks to a registry that has no folder.
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

// folder finds the folder that speaks of a registry, and reads its hosts.toml.
func (n *Network) folder(host string) (dir string, data []byte, err error) {
	if n.dir == "" {
		return "", nil, nil
	}
	folders := []string{host, "_default"}
	if i := strings.LastIndexByte(host, ':'); i > 0 {
		// Not every file system takes a colon. containerd has an underscore at the end as well.
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

// stampOf changes with every file that endpoints are made of. It ignores a file that cannot be
// read: using it fails later.
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

// configure makes the endpoint of some settings.
func (n *Network) configure(registry name.Registry, host string, s hostSettings) (_ endpoint, opened []*http.Transport, err error) {
	config := &tls.Config{RootCAs: n.roots}
	if len(s.authorities) > 0 {
		if config.RootCAs, err = trusted(n.roots, s.authorities); err != nil {
			return endpoint{}, nil, err
		}
	}
	// A host to which the endpoint sends us, such as a server of tokens or blobs, does not get its
	// certificates and headers.
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
	// Asked for, host by host; and this machine's own registry needs no certificate, unless one is
	// named for it.
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

// hostTransport speaks to one host as its settings say, and to others as the policy says.
type hostTransport struct {
	scheme    string // empty: any
	host      string
	path      string // instead of /v2
	namespace string // the registry that a mirror is asked for; empty for the registry itself
	header    http.Header
	own       http.RoundTripper
	ports     http.RoundTripper // for other ports of the host
	others    http.RoundTripper // for other hosts, to which this one sends us
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
