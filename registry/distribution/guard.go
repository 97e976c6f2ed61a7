package distribution

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/krustlet-go/krustlet-wasi/podsync/address"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// addressKind says what an address means for this node.
type addressKind int

const (
	elsewhereAddress addressKind = iota // public or private: registries may keep their blobs on such hosts
	loopbackAddress
	linkLocalAddress // cloud services that give away the machine's identity use these
	ownAddress       // an address of this node, or of a pod on it
	noAddress        // no registry can have such an address
)

func (k addressKind) String() string {
	return [...]string{"another machine's", "a loopback address", "a link-local address or one of the cloud's metadata service", "this node's own address or a pod's", "no address of a machine"}[k]
}

// metadataServices are the metadata services without a link-local address: AWS over IPv6, Alibaba,
// and Azure.
var metadataServices = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"),
}

// translated is the range of IPv6 addresses that contain an IPv4 address (RFC 6052).
var translated = netip.MustParsePrefix("64:ff9b::/96")

// kindOf classifies an address. isOwn reports whether it belongs to this machine.
func kindOf(a netip.Addr, isOwn func(netip.Addr) bool) addressKind {
	a = a.Unmap().WithZone("")
	if translated.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case a.IsLoopback():
		return loopbackAddress
	case a.IsLinkLocalUnicast(), slices.Contains(metadataServices, a):
		return linkLocalAddress
	case a.IsUnspecified(), a.IsMulticast(), a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240):
		return noAddress
	case isOwn(a):
		return ownAddress
	}
	return elsewhereAddress
}

// kindOfHost is the kind of a host that is written as an address or as localhost. For other hosts
// the kind is known only when a connection is made.
func kindOfHost(host string) addressKind {
	host = hostname(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return loopbackAddress
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return kindOf(a, address.IsLocal)
	}
	return elsewhereAddress
}

// hostname returns a host without its port, in lower case.
func hostname(host string) string {
	u := url.URL{Host: strings.ToLower(host)}
	return strings.TrimSuffix(u.Hostname(), ".")
}

// guard refuses connections to the machine itself, and to services that only the machine may ask.
// It is used for requests to which a registry or a mirror sends us, by a redirect or by naming a
// token server. allowed is the kind of the registry's own address.
//
// It checks the address of the connection after the name was resolved, so no name can avoid the
// check. The operator is responsible for connections to a proxy. A host behind a proxy is checked
// by its name.
type guard struct{ allowed addressKind }

func (g guard) check(to string, kind addressKind) error {
	if kind == elsewhereAddress || kind == g.allowed {
		return nil
	}
	return fault.New(nil, nil, "the registry sends this node on to %.100s, which is %v: that is not done unless the registry is there too, or --insecure-registries names the host", to, kind)
}

type viaProxy struct{}

// control implements net.Dialer's ControlContext.
func (g guard) control(ctx context.Context, _, to string, _ syscall.RawConn) error {
	if ctx.Value(viaProxy{}) != nil {
		return nil
	}
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	return g.check(to, kindOf(at.Addr(), address.IsLocal))
}

// sentOn is for requests to hosts that a registry names. Each kind of registry has its own
// connections, because a connection that is kept for the next request is not checked again.
type sentOn struct {
	guard  guard
	policy HostPolicy
	inner  *PolicyTransport // with the guard
	named  *PolicyTransport // for hosts that the operator named
}

func (t *sentOn) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Host
	if t.policy.names(host) {
		return t.named.RoundTrip(req)
	}
	if req.URL.Scheme != "https" && !(t.guard.allowed == loopbackAddress && kindOfHost(host) == loopbackAddress) {
		return nil, fault.New(nil, nil, "the registry sends this node on to %.100s by plain HTTP, which is not allowed (--insecure-registries names the hosts with which it is)", host)
	}
	if proxy, err := http.ProxyFromEnvironment(req); err == nil && proxy != nil {
		if err := t.guard.check(host, kindOfHost(host)); err != nil {
			return nil, err
		}
		req = req.WithContext(context.WithValue(req.Context(), viaProxy{}, true))
	}
	return t.inner.RoundTrip(req)
}

func (t *sentOn) connections() []*http.Transport {
	return append(t.inner.connections(), t.named.connections()...)
}

// downgraded reports whether a request follows a redirect from TLS to plain HTTP.
func downgraded(req *http.Request) bool {
	return req.URL.Scheme == "http" && req.Response != nil && req.Response.Request != nil && req.Response.Request.URL.Scheme == "https"
}
