package distribution

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// HostPolicy says for which hosts plain HTTP, or TLS without verification of the certificate, is
// allowed.
type HostPolicy struct {
	insecure map[string]bool // host or host:port, lower case
}

func NewHostPolicy(insecure []string) HostPolicy {
	p := HostPolicy{insecure: make(map[string]bool, len(insecure))}
	for _, host := range insecure {
		if host = strings.ToLower(strings.TrimSpace(host)); host != "" {
			p.insecure[host] = true
		}
	}
	return p
}

// names reports whether host, with or without a port, is one of the insecure registries.
func (p HostPolicy) names(host string) bool {
	return p.insecure[strings.ToLower(host)] || p.insecure[hostname(host)]
}

// plain reports whether host, with or without a port, is this machine or one of the insecure
// registries.
func (p HostPolicy) plain(host string) bool {
	return p.names(host) || kindOfHost(host) == loopbackAddress
}

// PolicyTransport sends requests as the policy says. It also stops plain HTTP by the library or by
// redirects where the policy does not allow it.
type PolicyTransport struct {
	Policy   HostPolicy
	Verified http.RoundTripper
	Lenient  http.RoundTripper
}

func (t *PolicyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.Policy.plain(req.URL.Host) {
		return t.Lenient.RoundTrip(req)
	}
	if req.URL.Scheme != "https" {
		return nil, fault.New(nil, nil, "plain HTTP with %s is not allowed (--insecure-registries names the hosts with which it is)", req.URL.Host)
	}
	return t.Verified.RoundTrip(req)
}

// newPolicyTransport makes the transport and its connections. config says how certificates are
// verified.
func newPolicyTransport(policy HostPolicy, config *tls.Config, dialer *net.Dialer) *PolicyTransport {
	lenient := &tls.Config{InsecureSkipVerify: true} // the operator allowed it for single hosts
	return &PolicyTransport{Policy: policy, Verified: newConnections(config, dialer), Lenient: newConnections(lenient, dialer)}
}

// newSentOn makes the transport for hosts that a registry names. The address of that registry is of
// the given kind.
func newSentOn(policy HostPolicy, config *tls.Config, registry addressKind) *sentOn {
	g := guard{allowed: registry}
	guarded := newDialer()
	guarded.ControlContext = g.control
	return &sentOn{
		guard: g, policy: policy,
		inner: newPolicyTransport(policy, config, guarded),
		named: newPolicyTransport(policy, config, newDialer()),
	}
}

func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
}

// StallTime is how long a transfer may bring no data before it fails. The kubelet's deadline for
// the progress of a pull is the same.
const StallTime = time.Minute

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 256 << 10

// newConnections makes a transport for one kind of connection. It uses the proxies of the
// environment.
func newConnections(config *tls.Config, dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    15 * time.Second,
		ResponseHeaderTimeout:  StallTime,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // digests are of the bytes as they are sent
	}
}

// connections are the transports that hold open connections.
func (t *PolicyTransport) connections() []*http.Transport {
	var all []*http.Transport
	for _, rt := range []http.RoundTripper{t.Verified, t.Lenient} {
		if c, ok := rt.(*http.Transport); ok {
			all = append(all, c)
		}
	}
	return all
}

// newTransport adds the user agent. It also retries failures that may pass within a second, and
// those for which the server asks the client to wait.
func newTransport(base http.RoundTripper, userAgent string) http.RoundTripper {
	return transport.NewUserAgent(patience{transport.NewRetry(base, transport.WithRetryStatusCodes(
		http.StatusRequestTimeout, http.StatusBadGateway, http.StatusGatewayTimeout,
	))}, userAgent)
}
