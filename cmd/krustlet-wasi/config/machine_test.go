package config

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestDefaultNodeIP(t *testing.T) {
	for _, tc := range []struct {
		name       string
		listen     string
		resolved   []netip.Addr
		interfaces []netip.Addr
		want       string // empty: an error
	}{
		{"first of the hostname", "0.0.0.0", addrs("192.0.2.7", "192.0.2.8"), addrs("192.0.2.9"), "192.0.2.7"},
		{"not a loopback one", "0.0.0.0", addrs("127.0.1.1", "192.0.2.8"), nil, "192.0.2.8"},
		{"not a link-local one", "0.0.0.0", addrs("169.254.1.1", "192.0.2.8"), nil, "192.0.2.8"},
		{"of an interface where the name is loopback", "0.0.0.0", addrs("127.0.1.1"), addrs("127.0.0.1", "192.0.2.9"), "192.0.2.9"},
		{"of the family listened on", "0.0.0.0", addrs("2001:db8::1", "192.0.2.8"), nil, "192.0.2.8"},
		{"IPv6 where that is listened on", "2001:db8::2", addrs("192.0.2.8", "fe80::1", "2001:db8::1"), nil, "2001:db8::1"},
		{"IPv6 first where all is listened on", "::", addrs("192.0.2.8", "2001:db8::1"), nil, "2001:db8::1"},
		{"IPv4 too where all is listened on", "::", addrs("192.0.2.8"), addrs("2001:db8::9"), "192.0.2.8"},
		{"IPv4 written as IPv6", "0.0.0.0", addrs("::ffff:192.0.2.8"), nil, "192.0.2.8"},
		{"none of the family", "192.0.2.1", addrs("2001:db8::1"), addrs("::1"), ""},
		{"loopback only", "0.0.0.0", addrs("127.0.0.1"), addrs("127.0.0.1", "::1"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := Machine{
				Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
					if host != "host" {
						t.Errorf("looked up %q", host)
					}
					return tc.resolved, nil
				},
				Interfaces: func() ([]netip.Addr, error) { return tc.interfaces, nil },
			}
			got, err := m.nodeIP(t.Context(), "host", netip.MustParseAddr(tc.listen))
			if tc.want == "" {
				if err == nil {
					t.Errorf("got %s, want an error", got)
				}
				return
			}
			if err != nil || got.String() != tc.want {
				t.Errorf("got %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestNodeIPWithoutResolver(t *testing.T) {
	m := Machine{
		Lookup:     func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") },
		Interfaces: func() ([]netip.Addr, error) { return addrs("192.0.2.9"), nil },
	}
	got, err := m.nodeIP(t.Context(), "host", netip.IPv4Unspecified())
	if err != nil || got.String() != "192.0.2.9" {
		t.Errorf("got %s, %v", got, err)
	}
	m.Interfaces = func() ([]netip.Addr, error) { return nil, nil }
	if _, err = m.nodeIP(t.Context(), "host", netip.IPv4Unspecified()); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("the error does not name the cause: %v", err)
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine(&strings.Builder{})
	if m.Terminal {
		t.Error("a buffer is taken for a terminal")
	}
	own, err := m.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		if a.IsLoopback() {
			return
		}
	}
	t.Errorf("no loopback address among %v", own)
}
