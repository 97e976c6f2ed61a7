package names

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// fast are servers that have little time, for tests in which they do not answer.
func fast(s *server) runtime.Names {
	return runtime.Names{Servers: []netip.AddrPort{s.at}, Timeout: 2 * time.Second, Attempts: 1}
}

// patient are servers that have as much time as a busy machine may need, for tests in which they
// answer.
func patient(s *server) runtime.Names {
	names := fast(s)
	names.Timeout = 30 * time.Second
	return names
}

// good is an honest answer with an address.
func good(q query) dnsmessage.Message {
	m := q.reply()
	m.Answers = append(m.Answers, record(q.name, "192.0.2.1", 60))
	return m
}

func one(m dnsmessage.Message) [][]byte { return [][]byte{packed(m)} }

// TestLies: whatever a server sends, a lookup ends in time with what is true or with an error.
//
// docs/security.md: "and has the question and its random number. What a server sends, how long it
// takes,".
func TestLies(t *testing.T) {
	const honest = "192.0.2.1"
	const silence = "no server answers"
	const nonsense = "servers fail"
	for name, tt := range map[string]struct {
		answer func(q query) [][]byte
		want   string
	}{
		"silence": {func(query) [][]byte { return nil }, silence},
		"another number": {func(q query) [][]byte {
			m := good(q)
			m.ID++
			return one(m)
		}, silence},
		"another number, then the right one": {func(q query) [][]byte {
			m := q.reply()
			m.ID++
			m.Answers = append(m.Answers, record(q.name, "192.0.2.66", 60))
			return append(one(m), one(good(q))...)
		}, honest},
		"another name": {func(q query) [][]byte {
			q.name = "other."
			return one(good(q))
		}, silence},
		"another family": {func(q query) [][]byte {
			q.kind = dnsmessage.TypeAAAA
			return one(good(q))
		}, silence},
		"another class": {func(q query) [][]byte {
			m := good(q)
			m.Questions[0].Class = dnsmessage.ClassCHAOS
			return one(m)
		}, silence},
		"a question": {func(q query) [][]byte {
			m := good(q)
			m.Response = false
			return one(m)
		}, silence},
		"another operation": {func(q query) [][]byte {
			m := good(q)
			m.OpCode = 5
			return one(m)
		}, silence},
		"no question": {func(q query) [][]byte {
			m := good(q)
			m.Questions = nil
			return one(m)
		}, silence},
		"two questions": {func(q query) [][]byte {
			m := good(q)
			m.Questions = append(m.Questions, m.Questions[0])
			return one(m)
		}, nonsense},
		"the name in other letters": {func(q query) [][]byte {
			m := good(q)
			m.Questions[0].Name = dnsmessage.MustNewName("WEB.")
			m.Answers[0].Header.Name = dnsmessage.MustNewName("wEb.")
			return one(m)
		}, honest},
		"an empty datagram": {func(query) [][]byte { return [][]byte{{}} }, silence},
		"the header only":   {func(q query) [][]byte { return [][]byte{packed(good(q))[:12]} }, silence},
		"half of it": {func(q query) [][]byte {
			b := packed(good(q))
			return [][]byte{b[:len(b)-3]}
		}, nonsense},
		"a thousand more records than there are": {func(q query) [][]byte {
			b := packed(good(q))
			b[6], b[7] = 4, 0
			return [][]byte{b}
		}, nonsense},
		"the address of another name": {func(q query) [][]byte {
			m := q.reply()
			m.Answers = append(m.Answers, record("other.", "192.0.2.66", 60))
			return one(m)
		}, "the name has no address NOERROR"},
		"the address of another name beside": {func(q query) [][]byte {
			m := good(q)
			m.Answers = append(m.Answers, record("other.", "192.0.2.66", 60))
			m.Additionals = append(m.Additionals, record(q.name, "192.0.2.66", 60))
			return one(m)
		}, honest},
		"a record of another class": {func(q query) [][]byte {
			m := good(q)
			m.Answers = append(m.Answers, record(q.name, "192.0.2.66", 60))
			m.Answers[1].Header.Class = dnsmessage.ClassCHAOS
			return one(m)
		}, honest},
		"an address of three bytes": {func(q query) [][]byte {
			b := packed(good(q))
			b[len(b)-5] = 3
			return [][]byte{b[:len(b)-1]}
		}, nonsense},
		"an address of five bytes": {func(q query) [][]byte {
			b := packed(good(q))
			b[len(b)-5] = 5
			return [][]byte{append(b, 1)}
		}, nonsense},
		"an alias of itself": {func(q query) [][]byte {
			m := good(q)
			m.Answers = append(m.Answers, record(q.name, q.name, 60))
			return one(m)
		}, nonsense},
		"two aliases of each other": {func(q query) [][]byte {
			m := good(q)
			m.Answers = append(m.Answers, record(q.name, "b.", 60), record("b.", q.name, 60))
			return one(m)
		}, nonsense},
		"seventeen aliases": {func(q query) [][]byte { return one(chain(q, 17)) }, nonsense},
		"sixteen aliases":   {func(q query) [][]byte { return one(chain(q, 16)) }, honest},
		"an alias of nothing": {func(q query) [][]byte {
			m := q.reply()
			m.Answers = append(m.Answers, record(q.name, "b.", 60))
			return one(m)
		}, "the name has no address NOERROR"},
		"a name that points to itself":      {func(q query) [][]byte { return [][]byte{pointing(q, 0)} }, nonsense},
		"a name that points forward":        {func(q query) [][]byte { return [][]byte{pointing(q, 2)} }, "the name has no address NOERROR"},
		"a name that points behind the end": {func(q query) [][]byte { return [][]byte{pointing(q, 1000)} }, nonsense},
		"more addresses than fit": {func(q query) [][]byte {
			m := q.reply()
			for i := range 70 {
				m.Answers = append(m.Answers, record(q.name, fmt.Sprintf("192.0.2.%d", i), 60))
			}
			return one(m)
		}, addresses(maxAddresses)},
		"one address often": {func(q query) [][]byte {
			m := good(q)
			for range 50 {
				m.Answers = append(m.Answers, m.Answers[0])
			}
			return one(m)
		}, honest},
		"a number that is no code": {func(q query) [][]byte {
			m := good(q)
			m.RCode = 11
			return one(m)
		}, "servers fail RCODE11"},
		"no such name, with an address": {func(q query) [][]byte {
			m := good(q)
			m.RCode = dnsmessage.RCodeNameError
			return one(m)
		}, "there is no such name NXDOMAIN"},
		"cut for ever": {func(q query) [][]byte {
			m := q.reply()
			m.Truncated = true
			return one(m)
		}, nonsense},
		"cut, and whole over TCP": {func(q query) [][]byte {
			m := q.reply()
			if m.Truncated = !q.tcp; q.tcp {
				m = good(q)
			}
			return one(m)
		}, honest},
		"cut, and silent over TCP": {func(q query) [][]byte {
			if q.tcp {
				return nil
			}
			m := good(q)
			m.Truncated = true
			return one(m)
		}, silence},
		"cut, and another number over TCP": {func(q query) [][]byte {
			m := good(q)
			if m.Truncated = !q.tcp; q.tcp {
				m.ID++
			}
			return one(m)
		}, nonsense},
		"cut, and nothing over TCP": {func(q query) [][]byte {
			m := good(q)
			m.Truncated = true
			if q.tcp {
				return [][]byte{{}}
			}
			return one(m)
		}, nonsense},
		"guesses without end": {func(q query) [][]byte {
			if q.tcp {
				return one(good(q))
			}
			var all [][]byte
			for range maxForeign {
				m := q.reply()
				m.ID++
				all = append(all, packed(m))
			}
			return all
		}, honest},
		"a server that does not know EDNS": {func(q query) [][]byte {
			if q.edns {
				m := q.reply()
				m.RCode = dnsmessage.RCodeFormatError
				return one(m)
			}
			return one(good(q))
		}, honest},
		"a server of another EDNS": {func(q query) [][]byte {
			if q.edns {
				m := q.reply()
				var h dnsmessage.ResourceHeader
				h.SetEDNS0(512, rcodeBadVersion, false)
				m.Additionals = append(m.Additionals, dnsmessage.Resource{Header: h, Body: &dnsmessage.OPTResource{}})
				return one(m)
			}
			return one(good(q))
		}, honest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "127.0.0.1", tt.answer)
			r := New(Settings{Names: fast(s), Dial: dial, NoIPv6: true})
			begun := time.Now()
			answer, err := r.Lookup(t.Context(), "web")
			got := shown(answer)
			if err != nil {
				got = failed(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func addresses(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("192.0.2.%d", i))
	}
	return strings.Join(all, " ")
}

// chain is an answer with n aliases before the address, the last ones first.
func chain(q query, n int) dnsmessage.Message {
	m := q.reply()
	name := func(i int) string {
		if i == 0 {
			return q.name
		}
		return fmt.Sprintf("a%d.", i)
	}
	m.Answers = append(m.Answers, record(name(n), "192.0.2.1", 60))
	for i := n - 1; i >= 0; i-- {
		m.Answers = append(m.Answers, record(name(i), name(i+1), 60))
	}
	return m
}

// pointing is an answer whose record has a name that is a pointer: to itself and what is by bytes
// after it.
func pointing(q query, by int) []byte {
	b := packed(q.reply())
	b[7] = 1
	to := len(b) + by
	b = append(b, 0xc0|byte(to>>8), byte(to))
	return append(b, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 66)
}

// TestOtherSource: what comes from another address than that of the server is no answer.
//
// docs/security.md: "An answer counts if it comes from the server that was asked,".
func TestOtherSource(t *testing.T) {
	liar, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer liar.Close()
	s := startServer(t, "127.0.0.1", func(q query) [][]byte {
		m := q.reply()
		m.Answers = append(m.Answers, record(q.name, "192.0.2.66", 60))
		liar.WriteToUDPAddrPort(packed(m), q.from)
		return one(good(q))
	})
	r := New(Settings{Names: patient(s), Dial: dial, NoIPv6: true})
	if answer, err := r.Lookup(t.Context(), "web"); shown(answer) != "192.0.2.1" {
		t.Errorf("%v %v", answer, err)
	}
}

// TestPortsAndNumbersDiffer: who wants to forge an answer must guess both.
func TestPortsAndNumbersDiffer(t *testing.T) {
	var mu sync.Mutex
	ports, numbers := map[uint16]bool{}, map[uint16]bool{}
	s := startServer(t, "127.0.0.1", func(q query) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		ports[q.from.Port()], numbers[q.id] = true, true
		return one(good(q))
	})
	r := New(Settings{Names: patient(s), Dial: dial, NoIPv6: true})
	const asked = 100
	for i := range asked {
		if _, err := r.Lookup(t.Context(), fmt.Sprintf("n%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) < asked*3/4 || len(numbers) < asked*3/4 {
		t.Errorf("%d questions had %d ports and %d numbers", asked, len(ports), len(numbers))
	}
}

// TestOverTCP: with the option use-vc, no datagram is sent, and an answer may be long.
func TestOverTCP(t *testing.T) {
	s := startServer(t, "127.0.0.1", func(q query) [][]byte {
		m := q.reply()
		for i := range 4000 {
			m.Answers = append(m.Answers, record(q.name, fmt.Sprintf("10.0.%d.%d", i/250, i%250), 60))
		}
		return one(m)
	})
	names := patient(s)
	names.TCP = true
	r := New(Settings{Names: names, Dial: dial, NoIPv6: true})
	answer, err := r.Lookup(t.Context(), "web")
	if err != nil || len(answer.Addresses) != maxAddresses {
		t.Errorf("%d addresses, %v", len(answer.Addresses), err)
	}
	if asked := s.questions(); len(asked) != 1 || asked[0] != "web A tcp" {
		t.Errorf("asked %q", asked)
	}
}

// FuzzAnswer: what follows the question in a server's answer may be anything.
func FuzzAnswer(f *testing.F) {
	q := question{"web", dnsmessage.TypeA}
	whole := func(m dnsmessage.Message) []byte { return packed(m) }
	asked := query{id: 7, name: "web.", kind: dnsmessage.TypeA}
	head := len(whole(asked.reply()))
	add := func(b []byte) { f.Add(b[2:12], b[head:]) }
	add(whole(good(asked)))
	add(whole(chain(asked, 5)))
	add(pointing(asked, 0))
	m := asked.reply()
	m.Authorities = append(m.Authorities, soa(5))
	add(whole(m))
	question := whole(asked.reply())[12:head]
	f.Fuzz(func(t *testing.T, flags, rest []byte) {
		if len(flags) != 10 || len(rest) > 64<<10 {
			return
		}
		flags = bytes.Clone(flags)
		flags[0], flags[2], flags[3] = flags[0]&0x87|0x80, 0, 1 // an answer, to one question
		message := append([]byte{0, 7}, flags...)
		message = append(append(message, question...), rest...)
		r, err := readAnswer(message, 7, q)
		if err != nil {
			return
		}
		if len(r.addresses) > maxAddresses || r.held < 0 || r.held > maxHeld || len(r.addresses) > 0 && r.rcode != dnsmessage.RCodeSuccess {
			t.Errorf("%d addresses, held for %v, code %v", len(r.addresses), r.held, r.rcode)
		}
		for _, a := range r.addresses {
			if !a.Is4() {
				t.Errorf("address %v", a)
			}
		}
	})
}

// BenchmarkLongestLie reads the answer that costs most: as long as TCP allows, and all of it names
// that point to each other.
func BenchmarkLongestLie(b *testing.B) {
	asked := query{id: 7, name: "web.", kind: dnsmessage.TypeA}
	m := asked.reply()
	long := strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 62)+".", 4)[:250], ".") + "."
	for range 1500 {
		m.Answers = append(m.Answers, record(long, long, 60))
	}
	message := packed(m)
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		if _, err := readAnswer(message, 7, question{"web", dnsmessage.TypeA}); err == nil && len(message) > 64<<10 {
			b.Fatal("too long")
		}
	}
}
