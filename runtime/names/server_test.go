package names

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// server is a name server on a port of a loopback address, for UDP and TCP.
type server struct {
	at netip.AddrPort
	// answer returns the messages that are sent for a question; none is silence.
	answer func(q query) [][]byte

	mu    sync.Mutex
	asked []string // names with family and protocol, in the order of their arrival
}

// query is a question as a server gets it.
type query struct {
	tcp  bool
	id   uint16
	name string // with its last dot
	kind dnsmessage.Type
	edns bool
	udp  *net.UDPConn // the server's socket
	from netip.AddrPort
}

func startServer(t testing.TB, address string, answer func(query) [][]byte) *server {
	t.Helper()
	s := &server{answer: answer}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s.at = listener.Addr().(*net.TCPAddr).AddrPort()
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.at))
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { s.serveUDP(socket) })
	running.Go(func() { s.serveTCP(listener, &running) })
	t.Cleanup(func() {
		listener.Close()
		socket.Close()
		running.Wait()
	})
	return s
}

func (s *server) serveUDP(socket *net.UDPConn) {
	datagram := make([]byte, 64<<10)
	for {
		n, from, err := socket.ReadFromUDPAddrPort(datagram)
		if err != nil {
			return
		}
		for _, message := range s.ask(datagram[:n], query{udp: socket, from: from}) {
			socket.WriteToUDPAddrPort(message, from)
		}
	}
}

func (s *server) serveTCP(listener net.Listener, running *sync.WaitGroup) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			defer conn.Close()
			var length [2]byte
			if _, err := io.ReadFull(conn, length[:]); err != nil {
				return
			}
			message := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(conn, message); err != nil {
				return
			}
			answers := s.ask(message, query{tcp: true})
			if answers == nil {
				io.Copy(io.Discard, conn) // until the other side gives up
			}
			for _, answer := range answers {
				conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			}
		})
	}
}

func (s *server) ask(message []byte, q query) [][]byte {
	var m dnsmessage.Message
	if err := m.Unpack(message); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q.id, q.name, q.kind, q.edns = m.ID, m.Questions[0].Name.String(), m.Questions[0].Type, len(m.Additionals) > 0
	s.mu.Lock()
	said := strings.TrimSuffix(q.name, ".") + " " + strings.TrimPrefix(q.kind.String(), "Type")
	if q.tcp {
		said += " tcp"
	}
	s.asked = append(s.asked, said)
	s.mu.Unlock()
	return s.answer(q)
}

// questions returns what was asked since the last call, each question once, in order.
func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// reply is the honest beginning of an answer.
func (q query) reply() dnsmessage.Message {
	return dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, Response: true, RecursionDesired: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(q.name), Type: q.kind, Class: dnsmessage.ClassINET}},
	}
}

func packed(m dnsmessage.Message) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// record is one of an answer: an address, or the name that the first one is an alias of.
func record(name, value string, ttl uint32) dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl}
	a, err := netip.ParseAddr(value)
	switch {
	case err != nil:
		return dnsmessage.Resource{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(value)}}
	case a.Is4():
		return dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}
	}
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}
}

func soa(ttl uint32) dnsmessage.Resource {
	root := dnsmessage.MustNewName(".")
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: root, Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.SOAResource{NS: root, MBox: root, MinTTL: ttl},
	}
}

// zone answers honestly, of names with their addresses. A name that is an alias has its target
// first. The value SERVFAIL is a failure, and silence is none.
func zone(names map[string][]string) func(query) [][]byte {
	return func(q query) [][]byte {
		m := q.reply()
		values, ok := names[strings.TrimSuffix(q.name, ".")]
		if !ok {
			m.RCode = dnsmessage.RCodeNameError
			m.Authorities = append(m.Authorities, soa(30))
			return [][]byte{packed(m)}
		}
		owner := q.name
		for _, v := range values {
			a, err := netip.ParseAddr(v)
			switch {
			case v == "silence":
				return nil
			case v == "SERVFAIL":
				m.RCode = dnsmessage.RCodeServerFailure
			case err != nil:
				m.Answers = append(m.Answers, record(owner, v, 60))
				owner = v
			case a.Is4() == (q.kind == dnsmessage.TypeA):
				m.Answers = append(m.Answers, record(owner, v, 60))
			}
		}
		if len(m.Answers) == 0 {
			m.Authorities = append(m.Authorities, soa(30))
		}
		return [][]byte{packed(m)}
	}
}

func dial(ctx context.Context, p runtime.Protocol, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, strings.ToLower(p.String()), to.String())
}

// shown are the addresses of an answer as text.
func shown(a Answer) string {
	var all []string
	for _, address := range a.Addresses {
		all = append(all, address.String())
	}
	return strings.Join(all, " ")
}

// sorted returns questions in order of their names: those of the two families have none.
func sorted(asked []string) string {
	slices.Sort(asked)
	return strings.Join(asked, ", ")
}
