package names

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// failed is the reason of an error, with the server's response code.
func failed(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return strings.TrimSpace(e.Reason.String() + " " + e.RCode)
	}
	return err.Error()
}

func TestLookup(t *testing.T) {
	s := startServer(t, "127.0.0.1", zone(map[string][]string{
		"web.ns.svc.c.test":  {"192.0.2.1", "2001:db8::1"},
		"a.b":                {"192.0.2.2"},
		"a.b.c.test":         {"192.0.2.3"},
		"only6":              {"2001:db8::6"},
		"empty":              {},
		"alias":              {"Second.test.", "third.test.", "192.0.2.4"},
		"broken":             {"SERVFAIL"},
		"broken.c.test":      {"192.0.2.5"},
		"sick.ns.svc.c.test": {"SERVFAIL"},
		"xn--bcher-kva.test": {"192.0.2.6"},
		"my_name.test":       {"192.0.2.7"},
		"hosted":             {"192.0.2.8"},
	}))
	names := runtime.Names{
		Servers: []netip.AddrPort{s.at}, Search: []string{"NS.svc.c.test.", "c.test", "not a domain"}, Ndots: 2,
		Hosts: []runtime.Host{
			{Address: netip.MustParseAddr("2001:db8::9"), Names: []string{"Hosted", "pod"}},
			{Address: netip.MustParseAddr("192.0.2.9"), Names: []string{"hosted", "h.test"}},
		},
	}
	for name, tt := range map[string]struct {
		name  string
		want  string // addresses, or why not
		as    string // the name that was found
		asked string // names in their order
	}{
		"search":                {"web", "192.0.2.1 2001:db8::1", "web.ns.svc.c.test", "web.ns.svc.c.test"},
		"case":                  {"WEB", "192.0.2.1 2001:db8::1", "web.ns.svc.c.test", "web.ns.svc.c.test"},
		"few dots":              {"a.b", "192.0.2.3", "a.b.c.test", "a.b.ns.svc.c.test a.b.c.test"},
		"absolute":              {"a.b.", "192.0.2.2", "a.b", "a.b"},
		"as it is, last":        {"only6", "2001:db8::6", "only6", "only6.ns.svc.c.test only6.c.test only6"},
		"as it is, first":       {"web.ns.svc", "192.0.2.1 2001:db8::1", "web.ns.svc.c.test", "web.ns.svc web.ns.svc.ns.svc.c.test web.ns.svc.c.test"},
		"no address":            {"empty.", "the name has no address NOERROR", "", "empty"},
		"no address, searched":  {"empty", "the name has no address NOERROR", "", "empty.ns.svc.c.test empty.c.test empty"},
		"not there":             {"nothing", "there is no such name NXDOMAIN", "", "nothing.ns.svc.c.test nothing.c.test nothing"},
		"alias":                 {"alias.", "192.0.2.4", "alias", "alias"},
		"a server fails":        {"broken.", "servers fail SERVFAIL", "", "broken"},
		"failure, then nothing": {"sick", "servers fail SERVFAIL", "", "sick.ns.svc.c.test sick.c.test sick"},
		"other characters":      {"Bücher.test.", "192.0.2.6", "xn--bcher-kva.test", "xn--bcher-kva.test"},
		"underscore":            {"my_name.test.", "192.0.2.7", "my_name.test", "my_name.test"},
		"hosts file":            {"hosted", "192.0.2.9 2001:db8::9", "hosted", ""},
		"hosts file, absolute":  {"H.test.", "192.0.2.9", "h.test", ""},
		"localhost":             {"localhost", "127.0.0.1 ::1", "localhost", ""},
		"below localhost":       {"a.LOCALHOST.", "127.0.0.1 ::1", "a.localhost", ""},
		"IPv4":                  {"192.0.2.77", "192.0.2.77", "", ""},
		"IPv6":                  {"2001:DB8::77", "2001:db8::77", "", ""},
		"IPv4 in IPv6":          {"::ffff:192.0.2.77", "192.0.2.77", "", ""},
		"zone":                  {"fe80::1%eth0", "this is no name of a host", "", ""},
		"an address, almost":    {"192.0.2.256.", "this is no name of a host", "", ""},
		"nothing at all":        {"", "this is no name of a host", "", ""},
		"the root":              {".", "this is no name of a host", "", ""},
		"two dots":              {"a..b", "this is no name of a host", "", ""},
		"a space":               {"a b", "this is no name of a host", "", ""},
		"a zero":                {"a\x00.test", "this is no name of a host", "", ""},
		"long label":            {strings.Repeat("x", 64) + ".test", "this is no name of a host", "", ""},
		"long name":             {strings.Repeat("x.", 126) + "xx", "this is no name of a host", "", ""},
		"very long":             {strings.Repeat("ü", 100_000), "this is no name of a host", "", ""},
		"no UTF-8":              {"a\xff.test", "this is no name of a host", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(Settings{Names: names, Dial: dial})
			answer, err := r.Lookup(t.Context(), tt.name)
			got := shown(answer)
			if err != nil {
				got = failed(err)
			}
			if got != tt.want || answer.Name != tt.as {
				t.Errorf("got %q of %q, want %q of %q", got, answer.Name, tt.want, tt.as)
			}
			var want []string
			for name := range strings.FieldsSeq(tt.asked) {
				want = append(want, name)
			}
			var asked []string
			for _, q := range s.questions() {
				name, _, _ := strings.Cut(q, " ")
				if len(asked) == 0 || asked[len(asked)-1] != name {
					asked = append(asked, name)
				}
			}
			if strings.Join(asked, " ") != strings.Join(want, " ") {
				t.Errorf("asked for %q, want %q", asked, want)
			}
			if (tt.asked == "") != answer.Own && err == nil {
				t.Errorf("Own is %v", answer.Own)
			}
		})
	}
}

// TestFamilies: a guest that has only one family is not asked for, nor told of, the other.
func TestFamilies(t *testing.T) {
	s := startServer(t, "127.0.0.1", zone(map[string][]string{"both": {"2001:db8::1", "192.0.2.1"}, "only4": {"192.0.2.1"}}))
	names := runtime.Names{Servers: []netip.AddrPort{s.at}, Hosts: []runtime.Host{{Address: netip.MustParseAddr("2001:db8::9"), Names: []string{"six"}}}}
	for name, tt := range map[string]struct {
		settings    Settings
		name        string
		want, asked string
	}{
		"both":             {Settings{}, "both", "192.0.2.1 2001:db8::1", "both A, both AAAA"},
		"only IPv4":        {Settings{NoIPv6: true}, "both", "192.0.2.1", "both A"},
		"only IPv6":        {Settings{NoIPv4: true}, "both", "2001:db8::1", "both AAAA"},
		"neither":          {Settings{NoIPv4: true, NoIPv6: true}, "both", "192.0.2.1 2001:db8::1", "both A, both AAAA"},
		"none of it":       {Settings{NoIPv4: true}, "only4", "the name has no address NOERROR", "only4 AAAA"},
		"localhost":        {Settings{NoIPv6: true}, "localhost", "127.0.0.1", ""},
		"IPv6's localhost": {Settings{NoIPv4: true}, "localhost", "::1", ""},
		"hosts have other": {Settings{NoIPv6: true}, "six", "2001:db8::9", ""},
	} {
		tt.settings.Names, tt.settings.Dial = names, dial
		answer, err := New(tt.settings).Lookup(t.Context(), tt.name)
		got := shown(answer)
		if err != nil {
			got = failed(err)
		}
		if asked := sorted(s.questions()); got != tt.want || asked != tt.asked {
			t.Errorf("%s: %q, asked %q, want %q, %q", name, got, asked, tt.want, tt.asked)
		}
	}
}

// TestDenied: no packet leaves for a name that is not allowed, and other candidates are asked for.
//
// docs/security.md: "Names: the node looks up names for guests, if egress allows them. No packet
// leaves for other names."
func TestDenied(t *testing.T) {
	s := startServer(t, "127.0.0.1", zone(map[string][]string{"web.in.test": {"192.0.2.1"}, "web": {"192.0.2.2"}, "web.out.test": {"192.0.2.3"}}))
	var dials atomic.Int32
	r := New(Settings{
		Names: runtime.Names{Servers: []netip.AddrPort{s.at}, Search: []string{"out.test", "in.test"}, Ndots: 1},
		Dial: func(ctx context.Context, p runtime.Protocol, to netip.AddrPort) (conn net.Conn, err error) {
			dials.Add(1)
			return dial(ctx, p, to)
		},
		Allowed: func(name string) bool { return strings.HasSuffix(name, ".in.test") },
	})
	for _, tt := range []struct {
		name, want, asked string
		dials             int32
	}{
		{"web", "192.0.2.1", "web.in.test A, web.in.test AAAA", 2},
		{"web.", "the guest may not look up this name", "", 0},
		{"web.out.test", "the guest may not look up this name", "web.out.test.in.test A, web.out.test.in.test AAAA", 2},
		{"WEB.IN.TEST", "192.0.2.1", "", 0}, // from the cache
	} {
		dials.Store(0)
		answer, err := r.Lookup(t.Context(), tt.name)
		got := shown(answer)
		if err != nil {
			got = failed(err)
		}
		if asked := sorted(s.questions()); got != tt.want || asked != tt.asked || dials.Load() != tt.dials {
			t.Errorf("%s: %q, asked %q with %d sockets, want %q, %q, %d", tt.name, got, asked, dials.Load(), tt.want, tt.asked, tt.dials)
		}
	}
}

func TestNoServers(t *testing.T) {
	r := New(Settings{Names: runtime.Names{Hosts: []runtime.Host{{Address: netip.MustParseAddr("192.0.2.1"), Names: []string{"known"}}}}})
	if answer, err := r.Lookup(t.Context(), "known"); shown(answer) != "192.0.2.1" {
		t.Errorf("%v %v", answer, err)
	}
	if _, err := r.Lookup(t.Context(), "other"); failed(err) != "there is no name server" {
		t.Error(err)
	}
}

// TestMerged: many who ask for the same name make one question of each family. It ends when the
// last of them gives up, and not before.
func TestMerged(t *testing.T) {
	release := make(chan struct{})
	honest := zone(map[string][]string{"web": {"192.0.2.1"}})
	s := startServer(t, "127.0.0.1", func(q query) [][]byte {
		<-release
		return honest(q)
	})
	r := New(Settings{Names: runtime.Names{Servers: []netip.AddrPort{s.at}}, Dial: dial})
	first, giveUp := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := r.Lookup(first, "web"); !errors.Is(err, context.Canceled) {
			t.Errorf("the first has %v", err)
		}
	})
	for range 50 {
		all.Go(func() {
			if answer, err := r.Lookup(t.Context(), "web"); shown(answer) != "192.0.2.1" {
				t.Errorf("%v %v", answer, err)
			}
		})
	}
	waiting := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := 0
		for _, f := range r.flights {
			n += f.waiting
		}
		return n
	}
	eventually.True(t, "51 lookups wait for two questions", func() bool { return waiting() == 2*51 })
	giveUp()
	eventually.True(t, "the first has given up", func() bool { return waiting() == 2*50 })
	close(release)
	all.Wait()
	if asked := sorted(s.questions()); asked != "web A, web AAAA" {
		t.Errorf("asked %q", asked)
	}
	if len(r.flights) != 0 || len(r.sockets) != 0 || r.lookups.Load() != 0 {
		t.Errorf("left: %d questions, %d sockets, %d lookups", len(r.flights), len(r.sockets), r.lookups.Load())
	}
}

// TestTooMany: the lookups and sockets of a guest are bounded, and a guest that is killed leaves
// nothing.
func TestTooMany(t *testing.T) {
	s := startServer(t, "127.0.0.1", func(query) [][]byte { return nil })
	var open, most atomic.Int32
	r := New(Settings{
		Names: runtime.Names{Servers: []netip.AddrPort{s.at}, Timeout: maxTimeout},
		Dial: func(ctx context.Context, p runtime.Protocol, to netip.AddrPort) (net.Conn, error) {
			conn, err := dial(ctx, p, to)
			if err == nil {
				if n := open.Add(1); n > most.Load() {
					most.Store(n)
				}
				conn = &counted{conn, &open}
			}
			return conn, err
		},
	})
	ctx, kill := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range maxLookups {
		all.Go(func() {
			if _, err := r.Lookup(ctx, "n"+string(rune('a'+i%26))+strings.Repeat("x", i/26)); !errors.Is(err, context.Canceled) {
				t.Errorf("lookup %d: %v", i, err)
			}
		})
	}
	eventually.True(t, "all lookups are under way", func() bool { return r.lookups.Load() == maxLookups && open.Load() == maxSockets })
	if _, err := r.Lookup(t.Context(), "onemore"); failed(err) != "too many lookups are under way" {
		t.Error(err)
	}
	if _, err := r.Lookup(t.Context(), "localhost"); err != nil {
		t.Errorf("what needs no server: %v", err)
	}
	kill()
	all.Wait()
	if open.Load() != 0 || most.Load() > maxSockets || len(r.sockets) != 0 || len(r.flights) != 0 {
		t.Errorf("%d sockets are open, %d were; %d slots, %d questions", open.Load(), most.Load(), len(r.sockets), len(r.flights))
	}
}

func TestRotate(t *testing.T) {
	var servers []*server
	names := runtime.Names{Rotate: true}
	for range 3 {
		s := startServer(t, "127.0.0.1", zone(nil))
		servers, names.Servers = append(servers, s), append(names.Servers, s.at)
	}
	r := New(Settings{Names: names, Dial: dial, NoIPv6: true})
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		r.Lookup(t.Context(), name)
	}
	for i, s := range servers {
		if n := len(s.questions()); n != 2 {
			t.Errorf("server %d was asked %d times", i, n)
		}
	}
}

// TestNextServer: a server that fails, refuses or is not there is passed over.
func TestNextServer(t *testing.T) {
	refuse := func(q query) [][]byte {
		m := q.reply()
		m.RCode = dnsmessage.RCodeRefused
		return [][]byte{packed(m)}
	}
	lame := func(q query) [][]byte {
		m := q.reply()
		m.RecursionAvailable = false
		return [][]byte{packed(m)}
	}
	good := startServer(t, "::1", zone(map[string][]string{"web": {"192.0.2.1"}}))
	for name, answer := range map[string]func(query) [][]byte{
		"failing": zone(map[string][]string{"web": {"SERVFAIL"}}), "refusing": refuse, "lame": lame,
	} {
		bad := startServer(t, "127.0.0.1", answer)
		r := New(Settings{Names: runtime.Names{Servers: []netip.AddrPort{bad.at, good.at}}, Dial: dial, NoIPv6: true})
		if answer, err := r.Lookup(t.Context(), "web"); shown(answer) != "192.0.2.1" {
			t.Errorf("%s: %v %v", name, answer, err)
		}
		r = New(Settings{Names: runtime.Names{Servers: []netip.AddrPort{bad.at}, Attempts: 5}, Dial: dial, NoIPv6: true})
		bad.questions()
		if _, err := r.Lookup(t.Context(), "web"); !strings.HasPrefix(failed(err), "servers fail") {
			t.Errorf("%s alone: %v", name, err)
		}
		if asked := bad.questions(); len(asked) != 1 {
			t.Errorf("%s: a server that has answered was asked %d times", name, len(asked))
		}
	}
	closed := startServer(t, "127.0.0.1", nil)
	gone := closed.at
	r := New(Settings{Names: runtime.Names{Servers: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), gone.Port()), good.at}}, Dial: dial, NoIPv6: true})
	begun := time.Now()
	if answer, err := r.Lookup(t.Context(), "web"); shown(answer) != "192.0.2.1" || time.Since(begun) > defaultTimeout/2 {
		t.Errorf("without a server there: %v %v after %v", answer, err, time.Since(begun))
	}
}

// counted is a connection that counts while it is open.
type counted struct {
	net.Conn
	open *atomic.Int32
}

func (c *counted) Close() error {
	c.open.Add(-1)
	return c.Conn.Close()
}
