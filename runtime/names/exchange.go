package names

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const (
	// advertised is the longest datagram that servers are told to send. It fits into one packet of
	// every network, so it needs no fragments, which others could forge.
	advertised = 1232
	// maxDatagram is the longest datagram that is read. Some servers send more than they are told.
	maxDatagram = 4096
	// maxForeign is how many datagrams that are no answer are passed over. After them, another tries
	// to guess the answer: then the server is asked over TCP, where guessing does not work.
	maxForeign = 64
	// lengthBytes is the size of the length before a message over TCP. It bounds the message.
	lengthBytes = 2
)

var (
	errGuessed   = errors.New("others send answers in the server's name")
	errTruncated = errors.New("the answer is cut, even over TCP")
)

// askServer asks one server. It knows the server's answer, which may be that it fails, or returns
// an error.
func (r *Resolver) askServer(ctx context.Context, server netip.AddrPort, q question) (reply, error) {
	answer, err := r.askWith(ctx, server, q, true)
	switch {
	case err != nil:
	case answer.rcode == dnsmessage.RCodeFormatError, answer.rcode == dnsmessage.RCodeNotImplemented, answer.rcode == rcodeBadVersion:
		return r.askWith(ctx, server, q, false) // an old server, which does not know EDNS
	}
	return answer, err
}

func (r *Resolver) askWith(ctx context.Context, server netip.AddrPort, q question, edns bool) (reply, error) {
	if !r.tcp {
		answer, err := r.overUDP(ctx, server, q, edns)
		if err == nil && !answer.truncated || err != nil && !errors.Is(err, errGuessed) {
			return answer, err
		}
	}
	answer, err := r.overTCP(ctx, server, q, edns)
	if err == nil && answer.truncated && len(answer.addresses) == 0 {
		return reply{}, errTruncated
	}
	return answer, err
}

// connect opens a socket of its own for a question, so that its port is another each time. What is
// done with the connection fails when ctx ends, and after the time for one question. close has to
// be called.
func (r *Resolver) connect(ctx context.Context, p runtime.Protocol, server netip.AddrPort) (conn net.Conn, end func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	conn, err = r.dial(ctx, p, server)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() {
		stop()
		cancel()
		_ = conn.Close()
	}, nil
}

func (r *Resolver) overUDP(ctx context.Context, server netip.AddrPort, q question, edns bool) (reply, error) {
	id, message, err := pack(q, edns)
	if err != nil {
		return reply{}, err
	}
	conn, end, err := r.connect(ctx, runtime.UDP, server)
	if err != nil {
		return reply{}, err
	}
	defer end()
	if _, err := conn.Write(message[lengthBytes:]); err != nil {
		return reply{}, err
	}
	datagram := make([]byte, maxDatagram)
	for range maxForeign {
		n, err := conn.Read(datagram)
		if err != nil {
			return reply{}, err
		}
		answer, err := readAnswer(datagram[:n], id, q)
		if !errors.Is(err, errForeign) {
			return answer, err
		}
	}
	return reply{}, errGuessed
}

func (r *Resolver) overTCP(ctx context.Context, server netip.AddrPort, q question, edns bool) (reply, error) {
	id, message, err := pack(q, edns)
	if err != nil {
		return reply{}, err
	}
	conn, end, err := r.connect(ctx, runtime.TCP, server)
	if err != nil {
		return reply{}, err
	}
	defer end()
	if _, err := conn.Write(message); err != nil {
		return reply{}, err
	}
	var length [lengthBytes]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return reply{}, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return reply{}, err
	}
	return readAnswer(answer, id, q)
}

// pack returns a question as a message for TCP, which has its length first, and its random number.
func pack(q question, edns bool) (id uint16, message []byte, err error) {
	name, err := dnsmessage.NewName(q.name + ".")
	if err != nil {
		return 0, nil, err
	}
	id = uint16(rand.Uint32()) // a generator that cannot be predicted: ChaCha8, with a seed of the kernel
	b := dnsmessage.NewBuilder(make([]byte, lengthBytes, 512), dnsmessage.Header{ID: id, RecursionDesired: true})
	_ = b.StartQuestions() // errors of a builder return with Finish, or here
	if err := b.Question(dnsmessage.Question{Name: name, Type: q.family, Class: dnsmessage.ClassINET}); err != nil {
		return 0, nil, err
	}
	if edns {
		var h dnsmessage.ResourceHeader
		_ = b.StartAdditionals()
		if err := h.SetEDNS0(advertised, dnsmessage.RCodeSuccess, false); err != nil {
			return 0, nil, err
		}
		if err := b.OPTResource(h, dnsmessage.OPTResource{}); err != nil {
			return 0, nil, err
		}
	}
	if message, err = b.Finish(); err != nil {
		return 0, nil, err
	}
	binary.BigEndian.PutUint16(message, uint16(len(message)-lengthBytes))
	return id, message, nil
}
