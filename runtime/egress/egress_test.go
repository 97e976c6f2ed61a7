package egress

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// sets is a cluster of 10.96.0.0/12 with a node 192.0.2.10, fd00:7::10.
type sets struct{}

func (sets) Cluster(a netip.Addr) bool { return netip.MustParsePrefix("10.96.0.0/12").Contains(a) }
func (sets) Node(a netip.Addr) bool {
	return a == netip.MustParseAddr("192.0.2.10") || a == netip.MustParseAddr("fd00:7::10")
}
func (s sets) NodeRange(p netip.Prefix) bool { return p.IsSingleIP() && s.Node(p.Addr()) }

func policy(t testing.TB, allow string, limits ...string) *Policy {
	t.Helper()
	p, err := New(runtime.Egress{Allow: allow, Limits: limits, Domain: "cluster.local"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// docs/security.md: "unless its pod or the node's default [says where](egress.md)."
// TestNames: which names may be looked up, and which may be connected to at a port.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		list, name string
		port       uint16
		want       bool
	}{
		{"", "example.com", 0, false},
		{"example.com", "example.com", 0, true},
		{"example.com", "EXAMPLE.com.", 443, true},
		{"Example.COM.", "example.com", 443, true},
		{"example.com", "www.example.com", 443, false},
		{"example.com", "notexample.com", 443, false},
		{"example.com:443", "example.com", 0, true},
		{"example.com:443", "example.com", 443, true},
		{"example.com:443", "example.com", 80, false},
		{"example.com:443 example.com:80", "example.com", 80, true},
		{"example.com:443,example.com", "example.com", 80, true},
		{"*.example.com", "a.example.com", 443, true},
		{"*.example.com", "a.b.c.example.com", 443, true},
		{"*.example.com", "example.com", 443, false},
		{"*.example.com", "aexample.com", 443, false},
		{"*.example.com:443", "a.example.com", 80, false},
		{"*.example.com:443", "a.example.com", 0, true},
		{"*.b.example.com:80 *.example.com:443", "a.b.example.com", 443, true},
		{"*.bücher.example", "a.xn--bcher-kva.example", 443, true},
		{"xn--bcher-kva.example", "BÜCHER.example", 443, true},
		{"straße.example", "strasse.example", 443, false},
		{"r3---sn-x.example.com", "r3---sn-x.example.com", 443, true},
		{"_dns._tcp.example.com", "_dns._tcp.example.com", 53, true},
		{"*", "example.com", 443, true},
		{"*:443", "example.com", 80, false},
		{"*:443", "example.com", 0, true},
		{"cluster", "kubernetes.default.svc.cluster.local", 443, true},
		{"cluster:53", "kubernetes.default.svc.cluster.local", 443, false},
		{"kubernetes.default.svc:443", "kubernetes.default.svc.cluster.local", 443, true},
		{"kubernetes.default.svc:443", "kubernetes.default.svc.cluster.local", 80, false},
		{"kubernetes.default.svc", "kubernetes.default.svc", 443, true},
		{"kubernetes.default.svc", "other.default.svc.cluster.local", 443, false},
		{"kubernetes.default.svc", "kubernetes.default.svc.example.com", 443, false},
		{"kubernetes.default.svc", "kubernetes.default.svc.evilcluster.local", 443, false},
		{"*.default.svc", "kubernetes.default.svc.cluster.local", 443, true},
		{"*.svc", "kubernetes.default.svc.cluster.local", 443, true},
		{"*.svc", "svc.cluster.local", 443, false},
		{"kubernetes.default", "kubernetes.default.svc.cluster.local", 443, false},
		{"example.com", "example.com.cluster.local", 443, false},
		{"cluster", "cluster.local", 443, false},
		{"cluster", "evilcluster.local", 443, false},
		{"cluster", "example.com", 443, false},
		{"10.0.0.0/8", "example.com", 443, false},
	} {
		name, err := Canonical(tt.name)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if v := policy(t, tt.list).Name(name, tt.port); v.Denied == tt.want || v.Denied != v.Noted {
			t.Errorf("%q: %s:%d: %+v", tt.list, tt.name, tt.port, v)
		}
		if v := policy(t, "*", "*", tt.list).Name(name, tt.port); v.Denied == tt.want || v.Denied && v.By != runtime.ByLimit {
			t.Errorf("%q as a limit: %s:%d: %+v", tt.list, tt.name, tt.port, v)
		}
	}
}

// TestAddresses: which addresses may be connected to, without a ceiling.
func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		list, address string
		want          bool
	}{
		{"", "192.0.2.7:443", false},
		{"192.0.2.7", "192.0.2.7:443", true},
		{"192.0.2.7", "[::ffff:192.0.2.7]:443", true},
		{"::ffff:192.0.2.7", "192.0.2.7:443", true},
		{"::ffff:192.0.2.0/120", "192.0.2.7:443", true},
		{"192.0.2.7:80", "192.0.2.7:443", false},
		{"192.0.2.7:80", "192.0.2.7:80", true},
		{"192.0.2.0/24", "192.0.2.255:1", true},
		{"192.0.2.0/24", "192.0.3.0:1", false},
		{"192.0.2.0/24:5432", "192.0.2.7:5432", true},
		{"192.0.2.0/24:5432", "192.0.2.7:5433", false},
		{"192.0.0.0/16:80 192.0.2.0/24:443 192.0.2.7:22", "192.0.2.7:80", true},
		{"192.0.0.0/16:80 192.0.2.0/24:443 192.0.2.7:22", "192.0.2.7:443", true},
		{"192.0.0.0/16:80 192.0.2.0/24:443 192.0.2.7:22", "192.0.2.7:22", true},
		{"192.0.0.0/16:80 192.0.2.0/24:443 192.0.2.7:22", "192.0.2.8:22", false},
		{"192.0.2.7:22 192.0.2.0/24:443 192.0.0.0/16:80", "192.0.9.7:443", false},
		{"2001:db8::7", "[2001:db8::7]:443", true},
		{"[2001:db8::7]", "[2001:db8::7]:443", true},
		{"[2001:db8::7]:443", "[2001:db8::7]:443", true},
		{"[2001:db8::7]:443", "[2001:db8::7]:80", false},
		{"[2001:db8::/32]:443", "[2001:db8:9::7]:443", true},
		{"2001:db8::/32", "[2001:db9::]:443", false},
		{"0.0.0.0/0", "8.8.8.8:53", true},
		{"0.0.0.0/0", "[2001:db8::7]:53", false},
		{"::/0", "8.8.8.8:53", false},
		{"::/0", "[2001:db8::7]:53", true},
		{"*", "127.0.0.1:80", true}, // as a developer's own run has no ceiling
		{"*:53", "8.8.8.8:53", true},
		{"*:53", "8.8.8.8:54", false},
		{"cluster", "10.96.0.1:443", true},
		{"cluster:53", "10.96.0.1:443", false},
		{"cluster", "8.8.8.8:53", false},
		{"example.com", "8.8.8.8:53", false},
	} {
		if v := policy(t, tt.list).Address(netip.MustParseAddrPort(tt.address), nil, sets{}); v.Denied == tt.want || v.Denied != v.Noted {
			t.Errorf("%q: %s: %+v", tt.list, tt.address, v)
		}
	}
}

// TestNamesThatWereFound: an address is allowed by the names that were found to have it, at their
// ports.
func TestNamesThatWereFound(t *testing.T) {
	address := netip.MustParseAddrPort("198.51.100.7:443")
	found := []Found{{Name: "other.example"}, {Name: "a.example.com"}}
	for list, want := range map[string]bool{
		"a.example.com": true, "*.example.com:443": true, "a.example.com:80": false, "b.example.com": false, "": false,
	} {
		if v := policy(t, list).Address(address, found, sets{}); v.Denied == want {
			t.Errorf("%q: %+v", list, v)
		}
		if v := policy(t, "*", list).Address(address, found, sets{}); v.Denied == want {
			t.Errorf("%q as a limit: %+v", list, v)
		}
		if v := policy(t, list).Address(address, nil, sets{}); !v.Denied {
			t.Errorf("%q without a lookup: %+v", list, v)
		}
	}
}

// TestServicesThatWereFound: an entry without the cluster's domain opens its Service's address.
func TestServicesThatWereFound(t *testing.T) {
	address := netip.MustParseAddrPort("198.51.100.7:443")
	for name, want := range map[string]bool{"db.ns.svc.cluster.local": true, "db.ns.svc": true, "db.ns.svc.example.com": false} {
		if v := policy(t, "db.ns.svc:443", "db.ns.svc").Address(address, []Found{{Name: name}}, sets{}); v.Denied == want {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// TestNamesOfThePod: what a pod says itself of a name does not count for a ceiling.
func TestNamesOfThePod(t *testing.T) {
	address := netip.MustParseAddrPort("198.51.100.7:443")
	found := []Found{{Name: "a.example.com", Pods: true}}
	if v := policy(t, "a.example.com", "*").Address(address, found, sets{}); v.Denied {
		t.Errorf("within the ceiling: %+v", v)
	}
	if v := policy(t, "*", "a.example.com").Address(address, found, sets{}); !v.Denied || v.By != runtime.ByLimit {
		t.Errorf("for the ceiling: %+v", v)
	}
}

// docs/security.md: "Whatever they say, the node itself, loopback, link-local and metadata
// addresses stay closed unless the node's ceiling (`--egress-limit`) names them: in every form of
// an address".
// docs/egress.md: "Some addresses stay closed, whatever a pod's own list says", "`*` in it does
// not, and neither does a range that has other addresses, too, or a name".
// TestClosed: only an entry of the node's ceiling opens what is closed, and no form of an address
// leads around it.
func TestClosed(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1", "224.0.0.1", "239.1.1.1", "255.255.255.255",
		"192.0.2.10", "100.100.100.200", "168.63.129.16", "192.0.0.192",
		"::", "::1", "fe80::1", "ff02::1", "fd00:7::10", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
		// forms of 169.254.169.254, 127.0.0.1 and 192.0.2.10:
		"::ffff:169.254.169.254", "::ffff:127.0.0.1", "::ffff:192.0.2.10", "::127.0.0.1", "::169.254.169.254", "::192.0.2.10",
		"::ffff:0:a9fe:a9fe", "::ffff:0:7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::c000:20a", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::",
		"2002:a9fe:a9fe::1", "2002:7f00:1::", "2002:c000:20a::5",
		"2001:0:a9fe:a9fe::", "2001:0:808:808:0:0:5601:5601", "2001:db8::5efe:7f00:1", "2001:db8::200:5efe:c000:20a",
		"fe80::1%lo",
	} {
		a := netip.AddrPortFrom(netip.MustParseAddr(address), 80)
		for _, limits := range [][]string{
			{"*"}, {"*", "*"}, {"0.0.0.0/0 ::/0"}, {"*", address}, {"128.0.0.0/1 0.0.0.0/1 8000::/1 ::/1"}, {"named.example"}, {"*:80"}, {"cluster"},
		} {
			if address == "fe80::1%lo" && len(limits) == 2 {
				continue // a list has no zones
			}
			list := "* named.example"
			if !strings.Contains(address, "%") {
				list += " " + address
			}
			v := policy(t, list, limits...).Address(a, []Found{{Name: "named.example"}}, sets{})
			if !v.Denied || v.By != runtime.ByLimit {
				t.Errorf("%s is open with the limits %q: %+v", address, limits, v)
			}
			if v := policy(t, list, limits...).Endpoint(a, sets{}); !v.Denied {
				t.Errorf("%s is open as an endpoint with the limits %q", address, limits)
			}
		}
		if strings.Contains(address, "%") {
			continue
		}
		named := netip.AddrPortFrom(a.Addr().Unmap(), 80).Addr().String()
		for _, limits := range [][]string{{"* " + named}, {"[" + named + "]:80"}, {named, "*"}} {
			if a.Addr().Unmap().Is4() {
				limits[0] = strings.NewReplacer("[", "", "]", "").Replace(limits[0])
			}
			if v := policy(t, "*", limits...).Address(a, nil, sets{}); v.Denied {
				t.Errorf("%s is closed with the limits %q: %+v", address, limits, v)
			}
		}
		if v := policy(t, "*", named, "10.0.0.0/8").Address(a, nil, sets{}); !v.Denied {
			t.Errorf("%s is open against a second limit", address)
		}
	}
	for limit, address := range map[string]string{
		"127.0.0.0/8": "127.1.2.3:80", "169.254.169.0/24": "169.254.169.254:80", "fe80::/10": "[fe80::7]:80", "224.0.0.0/8": "224.0.0.251:5353",
	} {
		if v := policy(t, "*", limit).Address(netip.MustParseAddrPort(address), nil, sets{}); v.Denied {
			t.Errorf("%s is closed with the limit %s", address, limit)
		}
	}
	for _, address := range []string{"8.8.8.8:53", "192.0.2.11:80", "10.96.0.1:443", "[2001:db8::1]:80", "[2002:808:808::1]:80", "[64:ff9b::808:808]:80", "[2001:0:808:808:0:0:f7f7:f7f7]:80"} {
		if v := policy(t, "*", "*").Address(netip.MustParseAddrPort(address), nil, sets{}); v.Denied {
			t.Errorf("%s is closed", address)
		}
	}
}

// TestEndpoints: a ceiling holds for where a Service leads to; the guest's own list does not.
func TestEndpoints(t *testing.T) {
	for address, want := range map[string]bool{"10.96.3.4:8080": true, "8.8.8.8:53": false, "192.0.2.10:10250": false} {
		if v := policy(t, "", "cluster").Endpoint(netip.MustParseAddrPort(address), sets{}); v.Denied == want {
			t.Errorf("%s: %+v", address, v)
		}
	}
	if v := policy(t, "").Endpoint(netip.MustParseAddrPort("127.0.0.1:1"), sets{}); v.Denied {
		t.Errorf("without a ceiling: %+v", v)
	}
}

// docs/egress.md: "The ceilings are not audited: what they deny is refused."
// TestAudit: with an audit, the guest's own list refuses nothing, and the ceilings do.
func TestAudit(t *testing.T) {
	p, err := New(runtime.Egress{Allow: "example.com", Limits: []string{"*.com 8.8.8.8"}, Audit: true})
	if err != nil {
		t.Fatal(err)
	}
	if v := p.Name("example.com", 443); v != (Verdict{}) {
		t.Errorf("allowed: %+v", v)
	}
	if v := p.Name("other.com", 443); v != (Verdict{Noted: true}) {
		t.Errorf("audited: %+v", v)
	}
	if v := p.Name("example.net", 443); v != (Verdict{Noted: true, Denied: true, By: runtime.ByLimit}) {
		t.Errorf("beyond the ceiling: %+v", v)
	}
	if v := p.Address(netip.MustParseAddrPort("8.8.8.8:53"), nil, sets{}); v != (Verdict{Noted: true}) {
		t.Errorf("an audited address: %+v", v)
	}
}

// TestMistakes: an error says which entry is wrong, and what to do.
func TestMistakes(t *testing.T) {
	for list, want := range map[string]string{
		"a.example, 10.0.0.1/8":              `entry 2, "10.0.0.1/8": bits are set behind the range's length: write 10.0.0.0/8`,
		"https://u:secret@example.com":       "entry 1: write a host without scheme, path and user",
		"u:secret@example.com":               "entry 1: write a host without scheme, path and user",
		"example.com/path":                   `entry 1, "example.com/path": write a host without scheme`,
		"example.com:0":                      "a port is a number from 1 to 65535",
		"example.com:65536":                  "a port is a number from 1 to 65535",
		"example.com:http":                   "a port is a number from 1 to 65535",
		"example.com:":                       "a port is a number from 1 to 65535",
		"*example.com":                       "`*` stands alone or for the first labels of a name",
		"a.*.example.com":                    "`*` stands alone or for the first labels of a name",
		"*.*.example.com":                    "a name has letters",
		"*.":                                 "a name has letters",
		"*.192.0.2.1":                        "a name has letters",
		"1.2.3":                              "is no number",
		"010.0.0.1":                          "is no number",
		"0x7f.1":                             "is no number",
		"a.0x7f":                             "is no number",
		"１２７.0.0.1":                          "is no number",
		"a..b":                               "a name has letters",
		"a b$c":                              `entry 2, "b$c": a name has letters`,
		".":                                  "a name has letters",
		strings.Repeat("a", 64) + ".example": "of at most 63 bytes",
		"fe80::1%eth0":                       "without a zone",
		"2001:db8::7:":                       "neither an IPv6 address nor a name",
		"[2001:db8::7":                       "write an IPv6 address with a port as",
		"[2001:db8::7]443":                   "write an IPv6 address with a port as",
		"[example.com]:443":                  "write an IPv6 address with a port as",
		"10.0.0.0/33":                        "a range of addresses is written as",
		"10.0.0.0/":                          "a range of addresses is written as",
		"::ffff:0:0/90":                      "bits are set behind the range's length",
		strings.Repeat("x", 100) + "$":       `"` + strings.Repeat("x", 64) + `" and so on`,
		strings.Repeat("a,", MaxEntries+1):   "more than 1024 entries",
		strings.Repeat(" ", MaxSize+1):       "the list has 32769 bytes, and 32768 are the most",
	} {
		_, err := Parse(list)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v; want %q", list, err, want)
		} else if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
			t.Errorf("%.80q: the error shows too much: %v", list, err)
		}
	}
	for _, e := range []runtime.Egress{{Allow: "$"}, {Limits: []string{"*", "$"}}, {Domain: "$"}} {
		if _, err := New(e); err == nil {
			t.Errorf("%+v has no mistake", e)
		}
	}
	if l, err := Parse(" ,\n a.example\t,, b.example ,"); err != nil || !l.Name("a.example", 0, "") || !l.Name("b.example", 0, "") {
		t.Errorf("white space and commas: %v", err)
	}
}

// FuzzEgress: no text breaks the parser; what a list allows stays within its entries, and a ceiling
// is never left.
func FuzzEgress(f *testing.F) {
	for _, list := range []string{"a.example:443,*.b.example 10.0.0.0/8:53 [2001:db8::/32]:1 cluster * ::1", "*", "bücher.example", "64:ff9b::a9fe:a9fe"} {
		f.Add(list, "a.example", []byte{127, 0, 0, 1}, uint16(443))
	}
	f.Fuzz(func(t *testing.T, list, name string, address []byte, port uint16) {
		l, err := Parse(list)
		if err != nil {
			return
		}
		if c, err := Canonical(name); err == nil {
			if again, err := Canonical(c); err != nil || again != c {
				t.Errorf("%q becomes %q, and that becomes %q, %v", name, c, again, err)
			}
			if _, err := netip.ParseAddr(c); err == nil {
				t.Errorf("%q becomes the address %s", name, c)
			}
			l.Name(c, port, "cluster.local")
		}
		a, ok := netip.AddrFromSlice(address)
		if !ok {
			return
		}
		p, err := New(runtime.Egress{Allow: "*", Limits: []string{"*", list}})
		if err != nil {
			t.Fatal(err)
		}
		v := p.Address(netip.AddrPortFrom(a, port), []Found{{Name: "a.example"}}, sets{})
		if !v.Denied && (closedTable.Contains(a.Unmap()) || sets.Node(sets{}, a.Unmap())) {
			t.Errorf("%s is open with %q", a, list)
		}
	})
}

func manyRules(n int) string {
	var b strings.Builder
	for i := range n {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&b, "host%d.example.com:443 ", i)
		case 1:
			fmt.Fprintf(&b, "*.sub%d.example.com ", i)
		case 2:
			fmt.Fprintf(&b, "10.%d.%d.0/%d ", i/256, i%256, 24)
		case 3:
			fmt.Fprintf(&b, "[2001:db8:%x::/48]:443 ", i)
		}
	}
	return b.String()
}

// BenchmarkDecisions: with 1,000 rules in each of three lists, a decision takes less than 1 µs.
func BenchmarkDecisions(b *testing.B) {
	p := policy(b, manyRules(1000), "* 127.0.0.1", manyRules(1000))
	found := []Found{{Name: "host996.example.com"}, {Name: "a.b.c.d.sub997.example.com"}}
	b.Run("name", func(b *testing.B) {
		for b.Loop() {
			if p.Name("host996.example.com", 443).Denied {
				b.Fatal()
			}
		}
	})
	b.Run("wildcard", func(b *testing.B) {
		for b.Loop() {
			if p.Name("a.b.c.d.sub997.example.com", 443).Denied {
				b.Fatal()
			}
		}
	})
	b.Run("long name", func(b *testing.B) {
		name := strings.Repeat("a.", 120) + "example.com"
		for b.Loop() {
			if !p.Name(name, 443).Denied {
				b.Fatal()
			}
		}
	})
	for name, text := range map[string]string{"address": "10.3.230.7:443", "address6": "[2001:db8:3e7::7]:443"} {
		address := netip.MustParseAddrPort(text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p.Address(address, nil, sets{}).Denied {
					b.Fatal()
				}
			}
		})
	}
	b.Run("address of a name", func(b *testing.B) {
		address := netip.MustParseAddrPort("198.51.100.7:443")
		for b.Loop() {
			if p.Address(address, found, sets{}).Denied {
				b.Fatal()
			}
		}
	})
}
