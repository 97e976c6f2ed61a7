package names

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

var comparable = cmp.Options{cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()}

func at(addresses ...string) (all []netip.AddrPort) {
	for _, a := range addresses {
		all = append(all, netip.AddrPortFrom(netip.MustParseAddr(a), 53))
	}
	return all
}

func TestParseResolvConf(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want runtime.Names
	}{
		"empty": {"", runtime.Names{Ndots: 1}},
		"whole": {"# a comment\n; another\nsearch a.test b.test\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions ndots:5 timeout:2 attempts:3 rotate\noptions use-vc edns0 single-request\n",
			runtime.Names{Servers: at("192.0.2.1", "2001:db8::1"), Search: []string{"a.test", "b.test"}, Ndots: 5, Timeout: 2 * time.Second, Attempts: 3, Rotate: true, TCP: true}},
		"the last search counts":  {"search a.test\ndomain b.test\n", runtime.Names{Search: []string{"b.test"}, Ndots: 1}},
		"three servers":           {strings.Repeat("nameserver 192.0.2.1\n", 5), runtime.Names{Servers: at("192.0.2.1", "192.0.2.1", "192.0.2.1"), Ndots: 1}},
		"a server with a zone":    {"nameserver fe80::1%eth0", runtime.Names{Servers: at("fe80::1%eth0"), Ndots: 1}},
		"numbers are bounded":     {"options ndots:99 timeout:99999 attempts:99", runtime.Names{Ndots: 15, Timeout: 30 * time.Second, Attempts: 5}},
		"no dots":                 {"options ndots:0", runtime.Names{}},
		"what cannot be read":     {"nameserver\nnameserver x\nsearch\nnonsense 1\noptions ndots:x timeout:-1 attempts:0 timeout ndots: rotate:1\n\x00\xff\n", runtime.Names{Ndots: 1}},
		"blanks, and no last end": {"\t nameserver\t192.0.2.1  ", runtime.Names{Servers: at("192.0.2.1"), Ndots: 1}},
	} {
		if diff := cmp.Diff(tt.want, ParseResolvConf(tt.text), comparable); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParseHosts(t *testing.T) {
	got := ParseHosts("# comment\n127.0.0.1\tlocalhost me # the machine\n\n::1 localhost\nnonsense a\n192.0.2.1\nfe80::1%eth0 link")
	want := []runtime.Host{
		{Address: netip.MustParseAddr("127.0.0.1"), Names: []string{"localhost", "me"}},
		{Address: netip.MustParseAddr("::1"), Names: []string{"localhost"}},
		{Address: netip.MustParseAddr("fe80::1%eth0"), Names: []string{"link"}},
	}
	if diff := cmp.Diff(want, got, comparable); diff != "" {
		t.Error(diff)
	}
	if n := len(ParseHosts(strings.Repeat("192.0.2.1 a\n", 2*maxHosts))); n != maxHosts {
		t.Errorf("%d lines count", n)
	}
}

func TestOfMachine(t *testing.T) {
	dir := t.TempDir()
	resolvConf, hosts := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "hosts")
	got, err := ofFiles(resolvConf, hosts, "me.example.test")
	want := runtime.Names{Servers: at("127.0.0.1"), Search: []string{"example.test"}, Ndots: 1}
	if diff := cmp.Diff(want, got, comparable); diff != "" || err != nil {
		t.Errorf("without files: %v %s", err, diff)
	}
	os.WriteFile(resolvConf, []byte("nameserver 192.0.2.1\nsearch a.test\n"), 0o600)
	os.WriteFile(hosts, []byte("192.0.2.9 nine\n"), 0o600)
	got, err = ofFiles(resolvConf, hosts, "me.example.test")
	want = runtime.Names{Servers: at("192.0.2.1"), Search: []string{"a.test"}, Ndots: 1, Hosts: []runtime.Host{{Address: netip.MustParseAddr("192.0.2.9"), Names: []string{"nine"}}}}
	if diff := cmp.Diff(want, got, comparable); diff != "" || err != nil {
		t.Errorf("with files: %v %s", err, diff)
	}
	if _, err := ofFiles(dir, hosts, ""); err == nil {
		t.Error("a directory was read")
	}
	if got, err := OfMachine(); err != nil || len(got.Servers) == 0 {
		t.Errorf("this machine: %v %v", got, err)
	}
}

func FuzzFiles(f *testing.F) {
	f.Add("nameserver 192.0.2.1\nsearch a b\noptions ndots:3 timeout:1 attempts:2 rotate use-vc\n", "127.0.0.1 localhost # x\n", "name")
	f.Add("options ndots:99999999999999999999\n", "::1 a", "ü.test.")
	f.Fuzz(func(t *testing.T, resolvConf, hosts, name string) {
		n := ParseResolvConf(resolvConf)
		if len(n.Servers) > maxServers || n.Ndots < 0 || n.Ndots > maxNdots || n.Timeout > maxTimeout || n.Attempts > maxAttempts || len(n.Search) > maxSearch {
			t.Errorf("%+v", n)
		}
		n.Hosts, n.Servers = ParseHosts(hosts), nil
		r := New(Settings{Names: n})
		r.Lookup(t.Context(), name)
		canon, ok := Canonical(name)
		if !ok {
			return
		}
		if again, ok := Canonical(canon); !ok || again != canon || len(canon) > maxName {
			t.Errorf("%q is %q, which is %q, %v", name, canon, again, ok)
		}
		for _, c := range candidates(canon, false, r.search, r.ndots) {
			if !isName(c) {
				t.Errorf("candidate %q", c)
			}
		}
	})
}
