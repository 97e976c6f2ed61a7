package registry

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
)

// sender is a registry with the name REGISTRY. It sends each request on, with one answer.
func sender(t *testing.T, s *Store, registry string, answer http.HandlerFunc) {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	direct := directTransport{inner: &http.Transport{}, host: srv.Listener.Addr().String()}
	t.Cleanup(direct.inner.CloseIdleConnections)
	s.network.Usual = named{registry, direct}
}

// named allows only requests to one host.
type named struct {
	host  string
	inner http.RoundTripper
}

func (n named) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Hostname() != n.host {
		return nil, errors.New("asked for " + req.URL.Host)
	}
	plain := req.Clone(req.Context())
	plain.URL.Scheme = "http"
	resp, err := n.inner.RoundTrip(plain)
	if resp != nil {
		resp.Request = req // with https, as the client sent it
	}
	return resp, err
}

// docs/security.md: "A registry can send the node on to another host, but not to the node itself"
// docs/security.md: "redirects, and the servers of tokens that a registry names, are not followed
// to loopback, to link-local addresses and the metadata services of clouds"
// docs/security.md: "or the operator names the host."
// docs/security.md: "The address is looked at when the connection is made, after the lookup of
// names."
// docs/security.md: "Nor does a redirect lead from TLS to plain HTTP."
func TestRegistryDoesNotReachTheNodeItself(t *testing.T) {
	var reached atomic.Int64
	victim := func(tls bool) *httptest.Server {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			reached.Add(1)
			_, _ = io.WriteString(w, `{"token":"x"}`)
		})
		srv := httptest.NewUnstartedServer(h)
		if tls {
			srv.StartTLS()
		} else {
			srv.Start()
		}
		t.Cleanup(srv.Close)
		return srv
	}
	plain, secure := victim(false), victim(true)
	port := secure.URL[strings.LastIndexByte(secure.URL, ':'):]
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}
	}
	realm := func(at string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+at+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"plain HTTP on loopback":     {redirect(plain.URL + "/x"), "plain HTTP"},
		"TLS on loopback":            {redirect(secure.URL + "/x"), "a loopback address"},
		"by a name":                  {redirect("https://localhost" + port + "/x"), "a loopback address"},
		"by a name with a dot":       {redirect("https://localhost." + port + "/x"), ""}, // some machines do not know this name
		"mapped into IPv6":           {redirect("https://[::ffff:127.0.0.1]" + port + "/x"), "a loopback address"},
		"in decimal":                 {redirect("https://2130706433" + port + "/x"), ""}, // no machine has such a name
		"no address":                 {redirect("https://0.0.0.0" + port + "/x"), "no address"},
		"the cloud's metadata":       {redirect("http://169.254.169.254/latest/meta-data"), "plain HTTP"},
		"the cloud's metadata, TLS":  {redirect("https://169.254.169.254/latest/meta-data"), "link-local"},
		"another scheme":             {redirect("file:///etc/passwd"), ""},
		"tokens by plain HTTP":       {realm(plain.URL), ""},
		"tokens on loopback":         {realm(secure.URL), ""},
		"tokens of the metadata":     {realm("http://169.254.169.254"), ""},
		"sent on again and again":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, ""},
		"to a host named insecure":   {redirect("http://insecure.example/x"), "from TLS to plain HTTP"},
		"plain HTTP to another host": {redirect("http://203.0.113.1/x"), "plain HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Config{InsecureRegistries: []string{"insecure.example"}})
			sender(t, s, "registry.example", tt.answer)
			_, err := s.pulled(t.Context(), "registry.example/app:v1")
			errorcheck.Is(t, err, nil, tt.says)
			if n := reached.Swap(0); n != 0 {
				t.Errorf("it was reached %d times", n)
			}
		})
	}
	t.Run("a mirror", func(t *testing.T) {
		mirror := httptest.NewServer(redirect(plain.URL + "/x"))
		t.Cleanup(mirror.Close)
		s := newStore(t, Config{HostsDir: hostsDir(t, "registry.example", "server = 'http://mirror.invalid'\n")})
		_, err := s.pulled(t.Context(), "registry.example/app:v1")
		errorcheck.Is(t, err, nil, "mirror.invalid")
		if n := reached.Swap(0); n != 0 {
			t.Errorf("it was reached %d times", n)
		}
	})
	t.Run("an operator who names it", func(t *testing.T) {
		s := newStore(t, Config{InsecureRegistries: []string{"127.0.0.1"}})
		answer := redirect(secure.URL + "/x")
		sender(t, s, "registry.example", answer)
		_, err := s.pulled(t.Context(), "registry.example/app:v1")
		errorcheck.Is(t, err, nil)
		if reached.Swap(0) == 0 {
			t.Errorf("it was not reached: %v", err)
		}
	})
}

// TestRegistryDoesNotReachTheNodesAddresses: the machine's other addresses, and those of its pods,
// count as the machine itself.
// docs/security.md: "to the node's own addresses and its pods'"
func TestRegistryDoesNotReachTheNodesAddresses(t *testing.T) {
	if !ownnetwork.Enter(t) {
		return
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	address, err := netlink.ParseAddr("192.0.2.7/24")
	if err == nil {
		err = netlink.AddrAdd(lo, address)
	}
	if err == nil { // podsync/address makes the pods' range in the same way
		_, pods, _ := net.ParseCIDR("10.9.0.0/24")
		err = netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: pods, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"192.0.2.7", "10.9.0.5"} {
		l, err := net.Listen("tcp", at+":0")
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Errorf("%s was reached", at) }))
		srv.Listener = l
		srv.StartTLS()
		defer srv.Close()
		s := newStore(t, Config{})
		sender(t, s, "registry.example", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				http.Redirect(w, r, srv.URL+"/x", http.StatusTemporaryRedirect)
			}
		})
		_, err = s.pulled(t.Context(), "registry.example/app:v1")
		errorcheck.Is(t, err, nil, "this node's own")
	}
}
